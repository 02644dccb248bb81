"""Initialisers that are also graph inputs, made constants."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.contract import exact
from lprc.core.pass_base import Pass, PassContext


@dataclass(frozen=True)
class FreezeInitializers(Pass):
    """Take initialisers out of the graph's inputs, so that they are constants.

    Before IR version 4 every initialiser had to be an input, and old exporters kept doing so. A
    caller can no longer override them.
    """

    name = "freeze-initializers"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Freeze each of the main graph's."""
        graph = model.graph
        for value in list(graph.inputs):
            if not value.is_initializer():
                continue
            if not context.rewrite(None, f"froze {value.name}"):
                return
            graph.inputs.remove(value)
        if context.rewrites and (model.ir_version or 0) < 4:
            # Only since version 4 may an initialiser not be an input.
            model.ir_version = 4
