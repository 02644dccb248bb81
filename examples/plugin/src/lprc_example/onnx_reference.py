"""ONNX's reference evaluator as a runtime: slow, and what the standard says in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lprc.plugin import OpenJob, RunError, Runtime, errors

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

ONNX_REFERENCE = Runtime(
    name="onnx-reference",
    title="ONNX's reference evaluator",
    file="model.onnx",
    opener="lprc_example.onnx_reference:ReferenceRunner",
    requires=("onnx",),
    install="pip install onnx",
    packages=("onnx",),
)


class ReferenceRunner:
    """An .onnx file, on one thread; an `lprc.plugin.Runner`."""

    def __init__(self, job: OpenJob) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        try:
            model = onnx.load(job.path)
            self._evaluator = ReferenceEvaluator(model)
        except Exception as error:  # it names no class of its own
            raise errors.InvalidModelError(
                f"ONNX's reference evaluator can't load it: {error}", where=str(job.path)
            ) from error
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in constants]
        self.inputs = {value.name: _shape(value) for value in inputs}
        self.dtypes = {value.name: _dtype(value) for value in inputs}
        self.outputs = [value.name for value in model.graph.output]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""
        try:
            results = self._evaluator.run(None, dict(inputs))
        except Exception as error:
            raise RunError(f"ONNX's reference evaluator can't run it: {error}") from error
        return dict(zip(self.outputs, results, strict=True))

    def bound(self, inputs: Mapping[str, NDArray[Any]]) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`."""
        return lambda: self._evaluator.run(None, dict(inputs))


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    sizes = value.type.tensor_type.shape.dim
    return tuple(size.dim_value if size.HasField("dim_value") else None for size in sizes)


def _dtype(value: onnx.ValueInfoProto) -> np.dtype[Any]:
    from onnx.helper import tensor_dtype_to_np_dtype

    return tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
