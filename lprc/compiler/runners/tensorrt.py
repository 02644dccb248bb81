"""Run a TensorRT engine on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lprc.core.errors import InvalidModelError, LprcError, MissingDependencyError
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.runner import OpenJob
from lprc.targets.tensorrt_scripts import cuda_device as gpu
from lprc.targets.tensorrt_scripts.engine import Engine

INSTALL = 'pip install "lprc[tensorrt]"'


class TensorRtRunner:
    """An engine, on the first GPU; an `lprc.core.running.runner.Runner`.

    Args:
        job: The engine; ``runtime`` in its report is the module that built it, ``tensorrt_rtx`` or
            ``tensorrt``. Without one the first is taken that is installed.

    Raises:
        MissingDependencyError: No GPU, or TensorRT or CUDA's bindings are not installed.
        InvalidModelError: TensorRT can't load the file.
    """

    def __init__(self, job: OpenJob) -> None:
        path, module = job.path, job.report.get("runtime")
        if module not in (None, *gpu.MODULES.values()):  # it comes from a file
            raise InvalidModelError(f"unknown TensorRT module '{module}'", where=str(path))
        try:
            self._engine = Engine(path, module)
        except gpu.EngineError as error:
            raise _translated(error, path) from error
        self.inputs = self._engine.inputs
        self.dtypes = self._engine.dtypes
        self.outputs = self._engine.outputs

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""
        try:
            return self._engine.run(inputs)
        except gpu.RunFailed as error:
            raise RunError(error.message, hint=error.remedy) from error

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`, which stay on the GPU."""
        try:
            return self._engine.bound(inputs)
        except gpu.RunFailed as error:
            raise RunError(error.message, hint=error.remedy) from error


def obstacle() -> str | None:
    """Why engines can't be run on this machine, in one line; None where they can."""
    try:
        gpu.devices()
        gpu.check_supported(gpu.tensorrt_module())
    except gpu.EngineError as error:
        return _message(error)
    return None


def _message(error: gpu.EngineError) -> str:
    if isinstance(error, gpu.NoGpu):
        return f"a TensorRT engine runs on an NVIDIA GPU only: {error.message}"
    return error.message


def _translated(error: gpu.EngineError, path: Path) -> LprcError:
    if isinstance(error, gpu.MissingModule):
        return MissingDependencyError(_message(error), where=str(path), hint=INSTALL)
    if isinstance(error, gpu.NoGpu):
        lowered = path.with_name("lowered.onnx")
        there = f"'{lowered}'" if lowered.is_file() else "the lowered.onnx that it was built from"
        return MissingDependencyError(
            _message(error), where=str(path), hint=f"on the CPU, {there} gives the same outputs"
        )
    if isinstance(error, gpu.BadEngine):
        return InvalidModelError(error.message, where=str(path), hint=error.remedy)
    return RunError(error.message, where=str(path), hint=error.remedy)
