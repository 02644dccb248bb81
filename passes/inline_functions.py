"""Calls of model-local functions, replaced by their bodies."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from lprc.core.graph import editing
from lprc.core.graph.function_calls import why_not_inlined
from lprc.core.graph.provenance import KEY, set_origins
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """Replace calls of the model's own functions by their bodies (onnx-ir's InlinePass).

    The passes behind it look at nodes, not into functions. Inlined nodes come from the call. Where
    one function can't be inlined, none is.
    """

    name = "inline-functions"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Inline all functions at once."""
        if not model.functions:
            return
        reason = why_not_inlined(model)
        if reason is not None:
            context.skip(None, reason)
            return
        if not context.rewrite(None, f"inlined {len(model.functions)} functions"):
            return
        for function in model.functions.values():
            for node in function.all_nodes():
                # A body's nodes are sources only through the call that they are inlined at.
                node.metadata_props.pop(KEY, None)
        before = {id(node) for node in model.graph.all_nodes()}
        taken = _names(model)
        InlinePass()(model)
        model.functions.clear()
        _settle(model, before, taken)


def _names(model: ir.Model) -> set[str]:
    values = {value.name for node in model.graph.all_nodes() for value in node.outputs}
    for graph in editing.graphs(model):
        values |= {value.name for value in graph.inputs} | set(graph.initializers)
    return {name for name in values if name}


def _settle(model: ir.Model, before: set[int], taken: set[str]) -> None:
    """Complete the origins of inlined nodes, and the uniqueness of their values' names.

    InlinePass knows the names of the graph that it inlines into, not those in its subgraphs.
    """
    for node in model.graph.all_nodes():
        if id(node) in before:
            continue
        if KEY not in node.metadata_props and node.name:
            set_origins(node, (node.name,))
        for value in node.outputs:
            if value.is_graph_output() or not value.name:
                continue
            name, suffix = value.name, 1
            while name in taken:
                suffix += 1
                name = f"{value.name}_{suffix}"
            value.name = name
            taken.add(name)
