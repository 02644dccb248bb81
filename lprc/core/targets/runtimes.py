"""What runs artefacts: the one table of runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Runtime:
    """One runtime.

    Attributes:
        backend: What the command line calls it, as in ``model.onnx@ort``.
        file: The file of an artefact that it loads.
        device: Where it computes; artefacts for ``cuda`` can be built on machines that can't run
            them.
        packages: The Python packages that build for it, whose versions manifests tell.
    """

    backend: str
    file: str
    device: Literal["cpu", "cuda"] = "cpu"
    packages: tuple[str, ...] = ()


RUNTIMES: dict[str, Runtime] = {
    "onnxruntime": Runtime("ort", "model.onnx"),
    "openvino": Runtime("openvino", "model.xml", packages=("openvino",)),
    "tensorrt": Runtime(
        "tensorrt", "model.engine", device="cuda", packages=("tensorrt-rtx", "tensorrt")
    ),
    "tvm": Runtime("tvm", "model.so", packages=("apache-tvm", "apache-tvm-ffi")),
}
"""By the name that a target's TOML uses."""
