"""Initialisers with equal content, kept once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class DeduplicateInitializers(Pass):
    """Keep one of several initialisers that are equal in type, shape and content.

    Within each graph. Initialisers that are graph inputs or outputs stay as they are.
    """

    name = "deduplicate-initializers"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Point every use of a copy at the first of its kind."""
        for graph in editing.graphs(model):
            for values in _of_equal_type(graph):
                first: dict[Hashable, ir.Value] = {}
                for value in values:
                    kept = first.setdefault(_content(value), value)
                    if kept is not value and context.rewrite(None, f"{value.name} is {kept.name}"):
                        ir.convenience.replace_all_uses_with(value, kept)
                        editing.remove_dead_initializer(value)


def _of_equal_type(graph: ir.Graph) -> list[list[ir.Value]]:
    """Private initialisers that might be equal: large weights mostly differ in shape already."""
    groups: dict[Hashable, list[ir.Value]] = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and not value.is_graph_output() and not value.is_graph_input():
            groups.setdefault((tensor.dtype, tuple(tensor.shape)), []).append(value)
    return [values for values in groups.values() if len(values) > 1]


def _content(value: ir.Value) -> Hashable:
    tensor = value.const_value
    assert tensor is not None
    if tensor.dtype == ir.DataType.STRING:
        return tuple(tensor.numpy().reshape(-1).tolist())
    return hashlib.sha256(tensor.tobytes()).digest()
