"""Run a model file in a runtime, by input and output name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import InvalidModelError, MissingDependencyError, UsageError
from lprc.core.numerics import Arrays, RunError
from lprc.core.ort_limits import disabled_optimizers

BACKENDS = ("openvino", "ort")


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


def make_runner(path: Path, backend: str, *, threads: int | None = None) -> Runner:
    """Load `path` in `backend`.

    Args:
        path: An .onnx file, or for OpenVINO also an .xml file.
        backend: One of `BACKENDS`.
        threads: CPU threads; None for the runtime's default.

    Raises:
        UsageError: An unknown backend.
        MissingDependencyError: The backend is not installed.
        InvalidModelError: The backend can't load the file.
    """
    if backend == "ort":
        return _OrtRunner(path, threads)
    if backend == "openvino":
        return _OpenVinoRunner(path, threads)
    raise UsageError(f"unknown runtime '{backend}'", hint=f"known: {', '.join(BACKENDS)}")


class _OrtRunner:
    def __init__(self, path: Path, threads: int | None) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 4
        # Threads that spin after a run would slow down whatever is measured next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(
                str(path),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=disabled_optimizers(path),
            )
        except Exception as error:  # ORT's exceptions share no base of their own
            raise _load_error("ONNX Runtime", path, error) from error
        self.inputs = {
            value.name: tuple(dim if isinstance(dim, int) else None for dim in value.shape)
            for value in self._session.get_inputs()
        }
        self.dtypes = {value.name: _ort_dtype(value.type) for value in self._session.get_inputs()}
        self.outputs = [value.name for value in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            found = self._session.run(self.outputs, dict(inputs))
        except Exception as error:
            raise RunError(f"ONNX Runtime can't run it: {_first_line(error)}") from error
        return dict(zip(self.outputs, found, strict=True))

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        binding = self._session.io_binding()
        for name, array in inputs.items():
            # Not ascontiguousarray, which makes scalars one-dimensional.
            binding.bind_cpu_input(name, np.asarray(array, order="C"))
        for name in self.outputs:
            binding.bind_output(name)
        return lambda: self._session.run_with_iobinding(binding)


class _OpenVinoRunner:
    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            import openvino as ov
        except ImportError as error:
            raise MissingDependencyError(
                "OpenVINO is not installed", where=str(path), hint='pip install "lprc[openvino]"'
            ) from error
        self._tensor = ov.Tensor
        # Some CPUs compute in bfloat16 by default; the IR says float32.
        # And by default activations of weight-only graphs are quantised, which the IR does not say.
        config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        }
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            model = ov.Core().read_model(path)
            self._compiled = ov.Core().compile_model(model, "CPU", config)
        except Exception as error:  # pybind11 raises RuntimeError and kin
            raise _load_error("OpenVINO", path, error) from error
        self._request = self._compiled.create_infer_request()
        self.inputs = {
            port.any_name: tuple(
                dim.get_length() if dim.is_static else None for dim in port.partial_shape
            )
            for port in self._compiled.inputs
        }
        self.dtypes = {
            port.any_name: _openvino_dtype(port.element_type) for port in self._compiled.inputs
        }
        self.outputs = [port.any_name for port in self._compiled.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            results = self._request.infer(dict(inputs))
        except RuntimeError as error:
            raise RunError(f"OpenVINO can't run it: {_first_line(error)}") from error
        return {
            name: np.array(results[port])
            for name, port in zip(self.outputs, self._compiled.outputs, strict=True)
        }

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        for name, array in inputs.items():
            self._request.set_tensor(name, self._tensor(np.asarray(array, order="C")))
        return lambda: self._request.infer()


def _ort_dtype(text: str) -> np.dtype[Any]:
    """The element type of ``tensor(float16)`` and the like; object where numpy has none."""
    name = text.removeprefix("tensor(").removesuffix(")")
    known = {"float": "float32", "double": "float64"}.get(name, name)
    return np.dtype(known) if known in np.sctypeDict else np.dtype(object)


_OPENVINO_TYPES = {"boolean", "f16", "f32", "f64"} | {
    f"{sign}{bits}" for sign in "iu" for bits in (8, 16, 32, 64)
}


def _openvino_dtype(element_type: Any) -> np.dtype[Any]:
    """The element type; object where numpy has none, for which OpenVINO names a substitute."""
    known = element_type.get_type_name() in _OPENVINO_TYPES
    return np.dtype(element_type.to_dtype()) if known else np.dtype(object)


def _load_error(runtime: str, path: Path, error: Exception) -> InvalidModelError:
    return InvalidModelError(f"{runtime} can't load it: {_first_line(error)}", where=str(path))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # OpenVINO begins with where in its sources the check failed.
    telling = [line for line in lines if not line.startswith(("Exception from src", "Check '"))]
    return (telling or lines or [type(error).__name__])[0][:300]
