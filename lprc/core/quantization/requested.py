"""Which operators a quantised graph asks to be computed on integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import LINEAR
from lprc.core.quantization.qdq import is_constant, qdq, roots

_WATCHED = (*LINEAR, "MaxPool")


@dataclass(frozen=True)
class Requested:
    """One operator whose precision matters.

    Attributes:
        node: The operator: a linear one, or MaxPool.
        quantized: Whether all that it computes on is dequantised: it is to run on integers.
    """

    node: ir.Node
    quantized: bool


def requested(model: ir.Model) -> Iterator[Requested]:
    """The linear operators and MaxPools of the main graph, in graph order."""
    for node in model.graph:
        if editing.is_op(node, *_WATCHED) and not is_constant(node.outputs[0]):
            yield Requested(node, is_quantized(node))


def is_quantized(node: ir.Node) -> bool:
    """Whether all that a linear operator or a MaxPool computes on is dequantised."""
    return all(map(_is_dequantized, _operands(node)))


def _operands(node: ir.Node) -> list[ir.Value | None]:
    """What it multiplies, or chooses from; a bias is added in whatever precision there is."""
    if node.op_type == "MaxPool":
        return [editing.input_at(node, 0)]
    return [editing.input_at(node, index) for index in (0, 1)]


def _is_dequantized(value: ir.Value | None) -> bool:
    found = list(roots(value))
    return bool(found) and all(
        editing.is_op(root.producer(), "DequantizeLinear") and qdq(root.producer()) is not None
        for root in found
    )
