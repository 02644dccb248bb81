"""Nodes that compute the same thing, kept once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import RANDOM
from lprc.core.graph.provenance import inherit
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """Keep one of several nodes with the same operator, attributes and inputs.

    Inputs are the same where they are one value or small constants of equal content.
    Random operators, nodes with subgraphs and operators of other domains stay. Where a copy is a
    graph output, it stays too: two outputs must not become one value. Within each graph.
    """

    name = "eliminate-common-subexpressions"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """One sweep in topological order finds chains of copies too."""
        for graph in editing.graphs(model):
            first: dict[Hashable, ir.Node] = {}
            for node in list(graph):
                key = _key(node)
                kept = node if key is None else first.setdefault(key, node)
                if kept is node:
                    continue
                if any(value.is_graph_output() for value in node.outputs):
                    context.skip(node, "is a graph output")
                elif context.rewrite(node, f"is {kept.name}"):
                    inherit(kept, [node])
                    for old, new in zip(node.outputs, kept.outputs, strict=True):
                        ir.convenience.replace_all_uses_with(old, new)
                    editing.remove_dead([node])


def _key(node: ir.Node) -> Hashable | None:
    if node.domain not in editing.ONNX_DOMAIN or node.op_type in RANDOM:
        return None
    attributes = []
    for name, attribute in sorted(node.attributes.items()):
        if attribute.ref_attr_name is not None or attribute.type in _WITH_GRAPHS:
            return None
        attributes.append((name, attribute.type, _hashable(attribute)))
    inputs = tuple(map(_number, node.inputs))
    used = tuple(bool(value.name) for value in node.outputs)
    return node.op_type, inputs, tuple(attributes), used


_SMALL = 1024


def _number(value: ir.Value | None) -> Hashable:
    """The key that stands for the value of an input."""
    if value is None:
        return None
    tensor = value.const_value
    overridable = value.is_graph_input() or not value.is_initializer()
    if tensor is None or overridable or tensor.dtype == ir.DataType.STRING:
        return id(value)
    if tensor.nbytes > _SMALL:
        return id(value)
    return tensor.dtype, tuple(tensor.shape), tensor.tobytes()


_WITH_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def _hashable(attribute: ir.Attr) -> Hashable:
    value = attribute.value
    if attribute.type == ir.AttributeType.TENSOR:
        if value.dtype == ir.DataType.STRING:
            return id(value)
        return value.dtype, tuple(value.shape), hashlib.sha256(value.tobytes()).digest()
    if isinstance(value, (list, tuple)):
        return tuple(map(repr, value)) if all(map(_is_plain, value)) else id(value)
    return repr(value) if _is_plain(value) else id(value)


def _is_plain(value: object) -> bool:
    """Whether it is a number or text: their repr tells 0.0 from -0.0, which are equal."""
    return isinstance(value, (bool, int, float, str, bytes))
