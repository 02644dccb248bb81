"""Run a model file in a runtime, by input and output name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.runners.openvino import OpenVinoRunner
from lprc.compiler.runners.ort import OrtRunner
from lprc.compiler.runners.tensorrt import TensorRtRunner, obstacle
from lprc.compiler.runners.tvm import TvmRunner
from lprc.core.errors import UsageError
from lprc.core.process.installed import is_installed
from lprc.core.running.numerics import Arrays

BACKENDS = ("openvino", "ort", "tensorrt", "tvm")


class Runner(Protocol):
    """A loaded model.

    Attributes:
        inputs: Input names with their shapes; None for a symbolic dimension.
        dtypes: Input names with their element types.
        outputs: Output names.
    """

    inputs: dict[str, tuple[int | None, ...]]
    dtypes: dict[str, np.dtype[Any]]
    outputs: list[str]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`, for timing."""


def make_runner(
    path: Path, backend: str, *, threads: int | None = None, module: str | None = None
) -> Runner:
    """Load `path` in `backend`.

    Args:
        path: An .onnx file, for OpenVINO also an .xml file; an engine for TensorRT.
        backend: One of `BACKENDS`.
        threads: CPU threads; None for the runtime's default. TensorRT computes on the GPU.
        module: The TensorRT that built the engine; None takes the first that is installed.

    Raises:
        UsageError: An unknown backend.
        MissingDependencyError: The backend is not installed, or the device that it needs.
        InvalidModelError: The backend can't load the file.
    """
    if backend == "ort":
        return OrtRunner(path, threads)
    if backend == "openvino":
        return OpenVinoRunner(path, threads)
    if backend == "tensorrt":
        return TensorRtRunner(path, module)
    if backend == "tvm":
        return TvmRunner(path, threads)
    raise UsageError(f"unknown runtime '{backend}'", hint=f"known: {', '.join(BACKENDS)}")


def unavailable(backend: str) -> str | None:
    """Why `backend` runs nothing on this machine, in one line; None where it does."""
    if backend == "tensorrt":
        return obstacle()
    if backend == "openvino" and not is_installed("openvino"):
        return "OpenVINO is not installed"
    if backend == "tvm" and not is_installed("tvm"):
        return "TVM is not installed"
    return None
