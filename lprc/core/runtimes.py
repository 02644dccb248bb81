"""What runs artefacts: the one table of runtimes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """One runtime.

    Attributes:
        backend: What the command line calls it, as in ``model.onnx@ort``.
        file: The file of an artefact that it loads.
    """

    backend: str
    file: str


RUNTIMES: dict[str, Runtime | None] = {
    "onnxruntime": Runtime("ort", "model.onnx"),
    "openvino": Runtime("openvino", "model.xml"),
    "tensorrt": None,
}
"""By the name that a target's TOML uses; None for one that lprc can't run, without an emitter."""
