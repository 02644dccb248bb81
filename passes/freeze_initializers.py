"""Initialisers that are also graph inputs, made constants."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class FreezeInitializers(Pass):
    """Take initialisers out of the graph's inputs, so that they are constants.

    Before IR version 4 every initialiser had to be an input, and old exporters kept doing so. A
    caller can no longer override them.
    """

    name = "freeze-initializers"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Freeze each of the main graph's."""
        inputs = model.graph.inputs
        frozen = {
            id(value)
            for value in inputs
            if value.is_initializer() and context.rewrite(None, f"froze {value.name}")
        }
        if not frozen:
            return
        # One at a time would take quadratic time: there may be thousands.
        kept = [value for value in inputs if id(value) not in frozen]
        inputs.clear()
        inputs.extend(kept)
        # Only since version 4 may an initialiser not be an input.
        model.ir_version = max(model.ir_version or 0, 4)
