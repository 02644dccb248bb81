"""How much of a model is computed on quantised values."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import CONVOLUTIONS, INTEGER, LINEAR, PRODUCTS
from lprc.core.quantization.qdq import is_constant, qdq, roots
from lprc.core.quantization.requested import is_quantized

_STANDS_FOR = {
    name: name.removeprefix("QLinear").removesuffix("Integer")
    for name in INTEGER & (CONVOLUTIONS | PRODUCTS)
}


@dataclass(frozen=True)
class Coverage:
    """Of one operator.

    Attributes:
        all: How many there are; products of constants alone do not count.
        quantized: Those whose inputs and weights are both quantised.
        weights_only: Those of which one operand is and the other is not.
    """

    all: int
    quantized: int
    weights_only: int


def coverage(model: ir.Model) -> dict[str, Coverage]:
    """The Convs, ConvTransposes, Gemms and MatMuls of all graphs, those on integers included."""
    flags_by_operator: dict[str, list[tuple[bool, bool]]] = {}
    for graph in editing.graphs(model):
        for node in graph:
            if editing.is_op(node, *LINEAR) and not is_constant(node.outputs[0]):
                both = is_quantized(node)
                flags_by_operator.setdefault(node.op_type, []).append(
                    (both, not both and _is_half(node))
                )
            elif editing.is_op(node, *_STANDS_FOR):
                flags_by_operator.setdefault(_STANDS_FOR[node.op_type], []).append((True, False))
    return {
        name: Coverage(len(flags), sum(both for both, _ in flags), sum(half for _, half in flags))
        for name, flags in sorted(flags_by_operator.items())
    }


def _is_half(node: ir.Node) -> bool:
    return any(
        qdq(root.producer()) is not None for index in (0, 1) for root in roots(node.inputs[index])
    )
