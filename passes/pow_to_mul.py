"""Pow with a small whole exponent, as multiplication."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class PowToMul(Pass):
    """Replace ``Pow(x, 2)`` by ``Mul(x, x)``.

    Runtimes compute Pow through exp and log. Other exponents stay: three factors round
    differently from Pow, and roots differ from Pow at -0 and -∞. So do integers, which overflow in
    another way. The exponent must be one value that adds no dimensions.

    Enters subgraphs.
    """

    name = "pow-to-mul"
    contract = exact_everywhere
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite each square."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if not editing.is_op(node, "Pow") or editing.scalar(node.inputs[1]) != 2:
                    continue
                base, exponent = node.inputs
                rank = editing.rank(base)
                exponent_rank = editing.rank(exponent)
                if base is None or base.dtype is None:
                    context.skip(node, "the type is not known")
                elif not base.dtype.is_floating_point():
                    context.skip(node, "integers overflow in another way")
                elif exponent_rank and (rank is None or exponent_rank > rank):
                    context.skip(node, "the exponent adds dimensions")
                elif context.rewrite(node, f"square of {base.name}"):
                    squared = editing.new_node(
                        "Mul", [base, base], before=node, sources=[node], shape=base.shape
                    )
                    editing.replace_value(node.outputs[0], squared)
                    editing.remove_dead([node])
