"""A part of a graph, cut out at tensors or nodes."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._images.cut import Cut, CutTranslation


@dataclass(frozen=True)
class Extract(Pass):
    """Keep what lies between some tensors and others, and make those the inputs and outputs.

    A tensor is named by itself, or by the node (or its source) that puts it out, as an output, or
    reads it first, as an input. Tensors keep their names. What outputs need of the graph's own
    inputs besides must be named too, so that no input is left over by mistake.

    Samples go through the graph in front of the pass, up to the cut. Cuts the main graph only.
    """

    name = "extract"
    contract = exact_everywhere
    changes_interface = True
    inputs: tuple[str, ...] = option((), "tensors or nodes to begin at; none: the graph's inputs")
    outputs: tuple[str, ...] = option((), "tensors or nodes to end at; none: the graph's outputs")

    def translation(self, model: ir.Model) -> CutTranslation:
        """What flows through the cut.

        Raises:
            UsageError: As of `run`.
        """
        cut = Cut.of(model, self.inputs, self.outputs)
        return CutTranslation(
            model.clone(),
            tuple(str(value.name) for value in cut.inputs),
            tuple(str(value.name) for value in cut.outputs),
        )

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Cut it out.

        Raises:
            UsageError: There is no such tensor or node, one of unknown type or shape, an output
                that needs inputs which are not named, or a named input that no output needs.
        """
        cut = Cut.of(model, self.inputs, self.outputs)
        if cut.is_whole(model.graph):
            context.skip(None, "that is the whole graph")
            return
        names = [", ".join(str(value.name) for value in ends) for ends in (cut.inputs, cut.outputs)]
        if context.rewrite(None, f"from {names[0] or 'nothing'} to {names[1]}"):
            cut.apply(model.graph)
