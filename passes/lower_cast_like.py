"""CastLike as Cast, once the type is known."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class LowerCastLike(Pass):
    """Replace CastLike by Cast to the type of its second input, which it then no longer needs.

    torch's exporter makes the zero bias of a Conv without one by CastLike of a constant to the
    type of the image. As a Cast it is constant, and ``fold-constants`` can evaluate it.

    Enters subgraphs.
    """

    name = "lower-cast-like"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Replace each CastLike whose type is known."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if not editing.is_op(node, "CastLike"):
                    continue
                value, like = node.inputs
                if value is None or like is None or like.dtype is None:
                    context.skip(node, "the type is not known")
                elif context.rewrite(node, f"Cast to {like.dtype.name}"):
                    saturate = node.attributes.get("saturate")
                    cast = editing.new_node(
                        "Cast",
                        [value],
                        before=node,
                        sources=[node],
                        attributes={
                            "to": int(like.dtype),
                            **({} if saturate is None else {"saturate": saturate.value}),
                        },
                        dtype=like.dtype,
                        shape=value.shape,
                    )
                    editing.replace_value(node.outputs[0], cast)
                    editing.remove_dead([node])
