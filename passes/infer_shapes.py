"""Shapes and types of all values."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir

from lprc.core.graph import editing, shapes
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class InferShapes(Pass):
    """Write the shapes and types that ONNX shape inference finds into the graph.

    What is known already is never replaced by less. Nodes with invalid attributes (torch's
    legacy MaxPool) do not stop it: inference runs again after ``legalize``.

    Enters subgraphs, because the inference does.
    """

    name = "infer-shapes"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Infer on a copy without weights, and take over what is new."""
        by_name = {value.name: value for value in _values(model) if value.name}
        if not any(shapes.is_open(value) for value in by_name.values()):
            return
        try:
            inferred = shapes.infer(model)
        except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            context.skip(None, f"inference failed: {reason[:200]}")
            return
        news = [
            (by_name[name], inferred_value)
            for name, inferred_value in inferred.items()
            if name in by_name and shapes.is_more(by_name[name], inferred_value)
        ]
        if news and context.rewrite(None, f"{len(news)} values"):
            for value, inferred_value in news:
                shapes.refine(value, inferred_value)


def _values(model: ir.Model) -> list[ir.Value]:
    return [
        value for graph in editing.graphs(model) for node in graph for value in node.outputs
    ] + list(model.graph.outputs)
