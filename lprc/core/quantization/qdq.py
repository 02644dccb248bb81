"""What the QuantizeLinear and DequantizeLinear nodes of a graph say, and what stands around them.

As of ONNX's operator sets 10 to 25, https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import BIAS_INPUTS, INTEGER, LINEAR, QDQ
from lprc.core.quantization.placement_rules import CARRIERS, carried_inputs

Role = Literal["activation", "weight", "bias"]


@dataclass(frozen=True)
class Qdq:
    """One QuantizeLinear or DequantizeLinear node.

    Attributes:
        node: The node.
        quantizes: Whether it is a QuantizeLinear.
        dtype: The type of the quantised values; UINT8 for a QuantizeLinear that does not say. None
            where the graph does not tell what a DequantizeLinear reads.
        axis: As written, or its default; counts only where the scale has several elements.
        block_size: Elements of `axis` that share a scale; 0 where there are no blocks.
    """

    node: ir.Node
    quantizes: bool
    dtype: ir.DataType | None
    axis: int
    block_size: int

    @property
    def data(self) -> ir.Value | None:
        """What is quantised or dequantised."""
        return editing.input_at(self.node, 0)

    @property
    def scale(self) -> ir.Value | None:
        """The scale."""
        return editing.input_at(self.node, 1)

    @property
    def zero_point(self) -> ir.Value | None:
        """The zero point; None where it is left out, which means zero."""
        return editing.input_at(self.node, 2)

    @property
    def output(self) -> ir.Value:
        """The result."""
        return self.node.outputs[0]

    @property
    def sizes(self) -> list[int | None] | None:
        """The dimensions of the data, None for an unknown one; None if their number is unknown."""
        producer = None if self.data is None else self.data.producer()
        quantized = editing.is_op(producer, "QuantizeLinear") and not self.quantizes
        before = editing.input_at(producer, 0) if producer is not None and quantized else None
        for value in (self.data, self.output, before):
            if value is not None and value.shape is not None:
                return [size if isinstance(size, int) else None for size in value.shape]
        return None


def qdq(node: ir.Node | None) -> Qdq | None:
    """What `node` says if it is a QuantizeLinear or DequantizeLinear; else None."""
    if node is None or not editing.is_op(node, "QuantizeLinear", "DequantizeLinear"):
        return None
    quantizes = node.op_type == "QuantizeLinear"
    return Qdq(
        node,
        quantizes,
        quantized_type(node.outputs[0]) if quantizes else quantized_type(node.inputs[0]),
        int(editing.attribute(node, "axis", 1)),
        int(editing.attribute(node, "block_size", 0)),
    )


def quantized_type(value: ir.Value | None) -> ir.DataType | None:
    """The element type of a quantised value: its producer's word, or what the graph says."""
    for root in roots(value):
        producer = root.producer()
        if producer is None or not editing.is_op(producer, "QuantizeLinear"):
            return element_type(root)
        said = element_type(editing.input_at(producer, 2))
        if said is not None:
            return said
        return ir.DataType(editing.attribute(producer, "output_dtype", 0) or ir.DataType.UINT8)
    return None


def element_type(value: ir.Value | None) -> ir.DataType | None:
    """The element type of `value`, if the graph tells."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return value.dtype if tensor is None else tensor.dtype


def carries(node: ir.Node | None) -> bool:
    """Whether `node` only chooses or moves elements, of whatever type."""
    if not editing.is_op(node, *CARRIERS):
        return False
    assert node is not None
    mode = node.attributes.get("mode") if node.op_type == "Resize" else None
    # Inside a function it may refer to an attribute of the function.
    return mode is None or (mode.ref_attr_name is None and mode.value == "nearest")


def roots(value: ir.Value | None) -> Iterator[ir.Value]:
    """The values that `value` consists of, before the operators that carried it."""
    pending, seen = [value], set()
    while pending:
        current = pending.pop()
        if current is None or current in seen:
            continue
        seen.add(current)
        producer = current.producer()
        if producer is not None and carries(producer):
            pending += [operand for _, operand in carried_inputs(producer)]
        else:
            yield current


def carried(value: ir.Value) -> Iterator[ir.Value]:
    """`value`, then what operators that only move its elements make of it."""
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        yield current
        for node, index in current.uses():
            if _is_carried(node, index):
                outputs = node.outputs[:1] if node.op_type == "MaxPool" else node.outputs
                fresh = [output for output in outputs if output not in seen]
                seen.update(fresh)
                pending += fresh


def uses(value: ir.Value) -> Iterator[tuple[ir.Node, int]]:
    """What reads `value`, looking through the operators that carry it: (node, input)."""
    for each in carried(value):
        for node, index in each.uses():
            if not _is_carried(node, index):
                yield node, index


def _is_carried(node: ir.Node, index: int) -> bool:
    return carries(node) and index in [each for each, _ in carried_inputs(node)]


def is_constant(value: ir.Value | None) -> bool:
    """Whether `value` is made of constants alone, in float or quantised."""
    if value is None:
        return False
    pending = [value]
    while pending:
        for root in roots(pending.pop()):
            producer = root.producer()
            data = editing.input_at(producer, 0) if producer is not None else None
            if data is not None and editing.is_op(producer, *QDQ):
                pending.append(data)
            elif editing.constant(root) is None:
                return False
    return True


def role(node: Qdq) -> Role:
    """Whether `node` is about an activation, a weight (any constant) or the bias of an operator."""
    if not is_constant(node.data):
        return "activation"
    readers = list(uses(node.output))
    if node.quantizes:
        readers = [use for reader, _ in readers for use in uses(reader.outputs[0])]
    return "bias" if readers and all(is_bias(*use) for use in readers) else "weight"


def is_bias(node: ir.Node, index: int) -> bool:
    """Whether the input `index` of `node` is its bias."""
    return editing.is_op(node, *LINEAR) and index in BIAS_INPUTS.get(node.op_type, ())


def weight_axis(node: ir.Node, index: int, rank: int) -> int | None:
    """The axis of the input `index` of a linear operator that its output channels lie on.

    Returns:
        None where that input is none that can be a weight.
    """
    if not editing.is_op(node, *LINEAR) or index > 1:
        return None
    if editing.is_op(node, "MatMul"):
        return rank - 1 if index == 1 else rank - 2
    if editing.is_op(node, "Gemm"):
        transposed = bool(editing.attribute(node, "transB" if index == 1 else "transA", 0))
        return int(transposed != (index == 1))
    if index == 0:
        return None
    return 0 if editing.is_op(node, "Conv") else 1


def is_integer_operator(node: ir.Node | None) -> bool:
    """Whether `node` computes on quantised values by itself."""
    if node is None:
        return False
    return editing.is_op(node, *INTEGER) or node.op_type.startswith("QLinear")
