"""Calls of model-local functions, replaced by their bodies."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from lprc.core.contract import exact
from lprc.core.pass_base import Pass, PassContext
from lprc.core.provenance import KEY, set_origins


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """Replace calls of the model's own functions by their bodies (onnx-ir's InlinePass).

    The passes behind it look at nodes, not into functions. Inlined nodes come from the call.
    """

    name = "inline-functions"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Inline all functions at once."""
        if not model.functions:
            return
        if not context.rewrite(None, f"inlined {len(model.functions)} functions"):
            return
        for function in model.functions.values():
            for node in function:
                # A body's nodes are sources only through the call that they are inlined at.
                node.metadata_props.pop(KEY, None)
        before = {id(node) for node in model.graph.all_nodes()}
        InlinePass()(model)
        for node in model.graph.all_nodes():
            if id(node) not in before and KEY not in node.metadata_props and node.name:
                set_origins(node, (node.name,))
