"""How large the values of a graph are, for one sample."""

from __future__ import annotations

import math

import onnx
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.shapes import infer


class Sizes:
    """The shapes of a model's values: what the file says, and what ONNX shape inference adds.

    A first dimension of an input that is not known is the batch: it is taken for 1 wherever it
    goes. Other dimensions that are not known count as 1 too. The model is not changed.

    Attributes:
        unknown: Whether a dimension was asked for that is not known, the batch included.
        contradiction: Why inference failed, in one line; None where it did not. Then the shapes
            are only those in the file.
    """

    def __init__(self, model: ir.Model) -> None:
        self.unknown = any(
            not isinstance(dim, int)
            for value in model.graph.inputs
            for dim in ([None] if value.shape is None else value.shape)
        )
        self.contradiction: str | None = None
        self._inferred: dict[str, ir.Value] = {}
        try:
            self._inferred = infer(model, one_sample=True)
        except onnx.shape_inference.InferenceError as error:
            self.contradiction = next(iter(str(error).splitlines()), "shapes contradict")

    def shape(self, value: ir.Value | None) -> list[int | None] | None:
        """The dimensions of `value`, None for an unknown one; None if their number is unknown."""
        if value is None:
            return None
        declared = _dimensions(value)
        if declared is not None and None not in declared:
            return declared
        inferred = _dimensions(self._inferred.get(value.name or ""))
        if inferred is None or (declared is not None and len(declared) != len(inferred)):
            return declared
        own = declared or [None] * len(inferred)
        return [two if one is None else one for one, two in zip(own, inferred, strict=True)]

    def counts(self, value: ir.Value | None) -> list[int]:
        """The dimensions of `value`, 1 for each that is not known; none if their number is not."""
        shape = self.shape(value)
        if shape is None or None in shape:
            self.unknown = True
        return [1 if dim is None else dim for dim in shape or []]

    def elements(self, value: ir.Value | None) -> int:
        """The number of elements of `value`."""
        return math.prod(self.counts(value))

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """The element type of `value`; None where it is not known or `value` is no tensor."""
        if value.type is None and value.name in self._inferred:
            return self._inferred[value.name].dtype
        return value.dtype

    def nbytes(self, value: ir.Value) -> int:
        """The bytes of `value`; 0 where its element type is not known or it is no tensor."""
        dtype = self.dtype(value)
        if dtype is None or dtype in (ir.DataType.STRING, ir.DataType.UNDEFINED):
            self.unknown = True
            return 0
        return -(-self.elements(value) * dtype.bitwidth // 8)


def _dimensions(value: ir.Value | None) -> list[int | None] | None:
    if value is None or value.shape is None:
        tensor = None if value is None else ir.convenience.get_const_tensor(value)
        return None if tensor is None else [int(dim) for dim in tensor.shape.numpy()]
    return [editing.dimension(value, axis) for axis in range(len(value.shape))]
