"""Run a model file in OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.runners.vendor_errors import first_line, load_error
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.runner import OpenJob


class OpenVinoRunner:
    """An .xml or .onnx file, on the CPU; an `lprc.core.running.runner.Runner`.

    Args:
        job: The file.
        counters: Whether to count what each layer takes, which takes time itself.
    """

    def __init__(self, job: OpenJob, *, counters: bool = False) -> None:
        import openvino as ov

        self._tensor = ov.Tensor
        self._core = ov.Core()
        self._config = _config(job, counters=counters)
        try:
            self._model = self._core.read_model(job.path)
            if job.batch is not None:
                set_batch(self._model, job.batch)
            self._compiled = self._core.compile_model(self._model, "CPU", self._config)
        except Exception as error:  # pybind11 raises RuntimeError and kin
            raise load_error("OpenVINO", job.path, error) from error
        self._request = self._compiled.create_infer_request()
        self.inputs = {
            _input_name(port): tuple(
                dim.get_length() if dim.is_static else None for dim in port.partial_shape
            )
            for port in self._compiled.inputs
        }
        self.dtypes = {
            _input_name(port): _dtype(port.element_type) for port in self._compiled.inputs
        }
        self.outputs = [port.any_name for port in self._compiled.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""
        try:
            results = self._request.infer(dict(inputs))
        except RuntimeError as error:
            raise RunError(f"OpenVINO can't run it: {first_line(error)}") from error
        return {
            name: np.array(results[port])
            for name, port in zip(self.outputs, self._compiled.outputs, strict=True)
        }

    def counters(self) -> list[Any]:
        """OpenVINO's ``ProfilingInfo`` of each layer in the last run."""
        return list(self._request.profiling_info)

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`."""
        for name, array in inputs.items():
            self._request.set_tensor(name, self._tensor(np.asarray(array, order="C")))
        return lambda: self._request.infer()


def _config(job: OpenJob, *, counters: bool) -> dict[str, Any]:
    # Some CPUs compute in bfloat16 by default; the IR says float32.
    # And by default activations of weight-only graphs are quantised, which the IR does not say.
    config: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    }
    if job.threads is not None:
        config["INFERENCE_NUM_THREADS"] = job.threads * (job.streams or 1)
    if job.streams is not None:
        config["NUM_STREAMS"] = job.streams
    if counters:
        config["PERF_COUNT"] = True
    return config


def set_batch(model: Any, batch: int) -> None:
    """Give a model of one input the batch that it will have, where it has none of its own."""
    if len(model.inputs) != 1:
        return
    shape = model.inputs[0].partial_shape
    if shape.rank.is_static and len(shape) and shape[0].is_dynamic:
        shape[0] = batch
        model.reshape(shape)


def _input_name(port: Any) -> str:
    """The input's own name: a Cast that does nothing leaves its name there too."""
    own = str(port.get_node().get_friendly_name())
    return own if own in port.names else str(port.any_name)


_TYPES = {"boolean", "f16", "f32", "f64"} | {
    f"{sign}{bits}" for sign in "iu" for bits in (8, 16, 32, 64)
}


def _dtype(element_type: Any) -> np.dtype[Any]:
    """The element type; object where numpy has none, for which OpenVINO names a substitute."""
    known = element_type.get_type_name() in _TYPES
    return np.dtype(element_type.to_dtype()) if known else np.dtype(object)
