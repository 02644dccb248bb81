"""Whether a model comes quantised already, and in which of the forms that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing, operators
from lprc.core.graph.provenance import describe
from lprc.core.quantization.qdq import is_constant

QDQ = "QDQ"
INTEGER = "integer operators"
FAKE = "fake quantisation"
WEIGHT_ONLY = "weight-only"

_MICROSOFT_WEIGHTS = ("GatherBlockQuantized", "MatMulBnb4", "MatMulFpQ4", "MatMulNBits", "QMoE")
_MICROSOFT_INTEGER = re.compile(
    r"QLinear|QGemm$|QAttention$|QEmbed|QOrdered|MatMulInteger|DynamicQuantize"
)
_QONNX = ("BipolarQuant", "FloatQuant", "IntQuant", "Quant", "Trunc")
_FAKE = re.compile(r"fake_?quant|quantize_?dequantize", re.IGNORECASE)
_PAIR = re.compile(r"(Dequantize|Quantize)Linear$")


@dataclass(frozen=True)
class Form:
    """One form of quantisation found in a model.

    Attributes:
        kind: `QDQ`, `INTEGER`, `FAKE` or `WEIGHT_ONLY`.
        count: How many nodes have it.
        first: The first of them, in graph order, functions last.
    """

    kind: str
    count: int
    first: ir.Node

    def __str__(self) -> str:
        nodes = "node" if self.count == 1 else "nodes"
        return f"{self.kind} ({self.count} {nodes}, first {describe(self.first)})"


def quantized_form(model: ir.Model) -> str | None:
    """How `model` is quantised already, for an error message; None if it is not.

    Names each form, the number of its nodes and the first of them, for instance
    ``QDQ (40 nodes, first node 'q0' (QuantizeLinear))``. Looks into subgraphs and functions.
    """
    return ", ".join(map(str, forms(model))) or None


def forms(model: ir.Model) -> list[Form]:
    """The forms of quantisation in `model`, by their first nodes.

    A model whose activations have Q/DQ is `QDQ` with its weights; one where only constants have
    them is `WEIGHT_ONLY`.
    """
    nodes_by_kind: dict[str, list[ir.Node]] = {}
    for node in _nodes(model):
        kind = _kind(node)
        if kind is not None:
            nodes_by_kind.setdefault(kind, []).append(node)
    constants = nodes_by_kind.pop(_OF_CONSTANT, [])
    if constants:
        kind = QDQ if QDQ in nodes_by_kind else WEIGHT_ONLY
        order = {node: number for number, node in enumerate(_nodes(model))}
        nodes_by_kind[kind] = sorted(
            [*nodes_by_kind.get(kind, []), *constants], key=order.__getitem__
        )
    return [Form(kind, len(nodes), nodes[0]) for kind, nodes in nodes_by_kind.items()]


_OF_CONSTANT = "Q or DQ of a constant"


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    for graph in editing.graphs(model):
        yield from graph
    for function in model.functions.values():
        yield from function.all_nodes()


def _kind(node: ir.Node) -> str | None:
    name = node.op_type
    if node.domain in editing.ONNX_DOMAIN:
        if name in operators.QDQ:
            return _OF_CONSTANT if is_constant(node.inputs[0]) else QDQ
        return INTEGER if name in operators.INTEGER else None
    if name in _MICROSOFT_WEIGHTS:
        return WEIGHT_ONLY
    if _MICROSOFT_INTEGER.match(name):
        return INTEGER
    if _PAIR.search(name):  # com.microsoft's, and TensorRT's TRT_FP8QuantizeLinear and its like
        return _OF_CONSTANT if node.inputs and is_constant(node.inputs[0]) else QDQ
    if _FAKE.search(name) or (name in _QONNX and "custom_op" in node.domain):
        return FAKE
    return None
