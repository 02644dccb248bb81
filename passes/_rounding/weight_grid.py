"""Constant weights of linear operators as integers behind a DequantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import grid_of
from lprc.core.quantization.affine import expand, floored, quantize_weight, weight_scale

NOT_CONSTANT = "its weight is not constant"
NOT_FLOAT = "its weight is not float32"
NOT_FINITE = "its weight has NaN or infinite values"


@dataclass(frozen=True)
class QuantizedWeight:
    """A weight as symmetric integers.

    Attributes:
        integers: int8, in the weight's shape, whatever the number of bits.
        scale: float32; [], [size of axis], or one for each block.
        axis: The axis of `scale`; None where there is one scale.
        block: Elements of `axis` that share a scale; 0 for none.
        bits: 8 or 4.
    """

    integers: NDArray[np.int8]
    scale: NDArray[np.float32]
    axis: int | None
    block: int
    bits: int

    def describe(self) -> str:
        """For instance ``int8, 64 scales``."""
        return f"int{self.bits}, {self.scale.size} scale{'s' if self.scale.size > 1 else ''}"


def channel_axis(node: ir.Node, weight: NDArray[Any], index: int = 1) -> int:
    """The axis of a linear operator's weight that has the output channels.

    Args:
        node: The operator.
        weight: Its weight.
        index: Which input the weight is; 0 for the left one of a Gemm or MatMul.
    """
    if editing.is_op(node, "Conv"):
        return 0
    if editing.is_op(node, "ConvTranspose"):
        return 1
    if editing.is_op(node, "Gemm"):
        transposed = editing.attribute(node, "transB" if index else "transA", 0)
        return int(bool(index) != bool(transposed))
    return weight.ndim - 1 if index else weight.ndim - 2


def input_axis(node: ir.Node, weight: NDArray[Any], index: int = 1) -> int:
    """The axis of the weight that is summed over, along which blocks lie; see `channel_axis`."""
    if editing.is_op(node, "MatMul"):
        return weight.ndim - 2 if index else weight.ndim - 1
    return 1 - channel_axis(node, weight, index)


def quantized_weight(
    value: ir.Value | None, axis: int | None, *, bits: int = 8, block: int = 0
) -> QuantizedWeight | str:
    """A weight as integers, or why it can't be made such; a recorded grid is kept as it is."""
    array = editing.constant(value)
    if value is None or array is None:
        return NOT_CONSTANT
    if array.dtype != np.float32:
        return NOT_FLOAT
    if not np.isfinite(array).all():
        return NOT_FINITE
    grid = grid_of(value)
    if grid is not None and (grid.bits, grid.axis, grid.block) == (bits, axis, block):
        scale = grid.scale
    else:
        scale = weight_scale(array, axis, bits=bits, block=block)
    integers = quantize_weight(array, scale, axis, bits=bits, block=block)
    return QuantizedWeight(integers, scale, axis, block, bits)


def dequantized(
    node: ir.Node, value: ir.Value, weight: QuantizedWeight, *, zero_point: bool = False
) -> ir.Value:
    """New initialisers for `weight` and the DequantizeLinear in front of `node`; its output.

    Args:
        node: Who reads the weight.
        value: The float weight, whose name the new ones begin with.
        weight: Its integers.
        zero_point: Whether to write zero-points too. They are 0 of the stored type by default, and
            one tensor less to carry.
    """
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    hint = str(value.name)
    stored = _integer_initializer(graph, f"{hint}_quantized", weight.integers, weight.bits)
    scale = editing.add_initializer(graph, f"{hint}_scale", weight.scale)
    inputs = [stored, scale]
    if zero_point:
        zeros = np.zeros(weight.scale.shape, np.int8)
        inputs.append(_integer_initializer(graph, f"{hint}_zero_point", zeros, weight.bits))
    attributes: dict[str, Any] = {} if weight.axis is None else {"axis": weight.axis}
    if weight.block:
        attributes["block_size"] = weight.block
    return editing.new_node(
        "DequantizeLinear",
        inputs,
        before=node,
        sources=[node],
        attributes=attributes,
        name=f"{hint}_dequantize",
        dtype=ir.DataType.FLOAT,
        shape=weight.integers.shape,
    )


def _integer_initializer(
    graph: ir.Graph, hint: str, integers: NDArray[np.int8], bits: int
) -> ir.Value:
    if bits == 8:
        return editing.add_initializer(graph, hint, integers)
    import ml_dtypes

    return editing.add_initializer(graph, hint, integers.astype(ml_dtypes.int4))


def quantized_dequantized(node: ir.Node, value: ir.Value, weight: QuantizedWeight) -> ir.Value:
    """The weight on its grid as float32, with QuantizeLinear and DequantizeLinear behind it."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    hint = str(value.name)
    wide = expand(weight.scale, weight.integers.shape, weight.axis, weight.block)
    array = (weight.integers * wide).astype(np.float32)
    stored = editing.add_initializer(graph, f"{hint}_rounded", array)
    scale = editing.add_initializer(graph, f"{hint}_scale", weight.scale)
    zero = editing.add_initializer(
        graph, f"{hint}_zero_point", np.zeros(weight.scale.shape, np.int8)
    )
    attributes = {} if weight.axis is None else {"axis": weight.axis}
    shape = weight.integers.shape
    quantized = editing.new_node(
        "QuantizeLinear", [stored, scale, zero], before=node, sources=[node],
        attributes=attributes, name=f"{hint}_quantize", dtype=ir.DataType.INT8, shape=shape,
    )  # fmt: skip
    return editing.new_node(
        "DequantizeLinear", [quantized, scale, zero], before=node, sources=[node],
        attributes=attributes, name=f"{hint}_dequantize", dtype=ir.DataType.FLOAT, shape=shape,
    )  # fmt: skip


def quantized_bias(
    bias: NDArray[Any], input_scale: float, weight: QuantizedWeight
) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
    """The bias as int32 in units of input scale times weight scale, and these; None if too big.

    The scales of a ConvTranspose's weight are for the channels of one group, and repeat.
    """
    repeats = bias.size // weight.scale.size
    scale = floored(np.tile(weight.scale.reshape(-1) * np.float32(input_scale), repeats))
    whole = np.rint(bias.astype(np.float64) / scale)
    if np.abs(whole).max(initial=0.0) > np.iinfo(np.int32).max:
        return None
    return whole.astype(np.int32), scale
