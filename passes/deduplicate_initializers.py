"""Initialisers with equal content, kept once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core import editing
from lprc.core.contract import exact
from lprc.core.pass_base import Pass, PassContext


@dataclass(frozen=True)
class DeduplicateInitializers(Pass):
    """Keep one of several initialisers that are equal in type, shape and content.

    Within each graph. Initialisers that are graph inputs or outputs stay as they are.
    """

    name = "deduplicate-initializers"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Point every use of a copy at the first of its kind."""
        for graph in editing.graphs(model):
            first: dict[tuple[object, ...], ir.Value] = {}
            for value in list(graph.initializers.values()):
                tensor = value.const_value
                if tensor is None or value.is_graph_output() or value.is_graph_input():
                    continue
                if tensor.dtype == ir.DataType.STRING:
                    continue
                digest = hashlib.sha256(tensor.tobytes()).digest()
                key = (tensor.dtype, tuple(tensor.shape), digest)
                kept = first.setdefault(key, value)
                if kept is not value and context.rewrite(None, f"{value.name} is {kept.name}"):
                    ir.convenience.replace_all_uses_with(value, kept)
                    editing.remove_dead_initializer(value)
