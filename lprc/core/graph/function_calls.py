"""Calls of a model's own functions: whether they can be replaced by the functions' bodies."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import PreconditionError
from onnx_ir.passes.common import InlinePass


def why_not_inlined(model: ir.Model) -> str | None:
    """Why onnx-ir's InlinePass can't inline all functions, as it raises half-way; or None."""
    try:
        InlinePass().requires(model)
    except PreconditionError:
        return "functions call each other in a circle"
    for function in model.functions.values():
        for domain, version in function.opset_imports.items():
            if model.graph.opset_imports.get(domain, version) != version:
                return f"function '{function.name}' is written for another opset than the model"
    calls = (node for node in _all_nodes(model) if node.op_identifier() in model.functions)
    for call in calls:
        if any(attribute.type in _GRAPHS for attribute in call.attributes.values()):
            return f"function '{call.op_type}' takes a graph as an attribute"
        function = model.functions[call.op_identifier()]
        if len(call.inputs) > len(function.inputs):
            return f"function '{call.op_type}' is called with too many inputs"
        if len(call.outputs) != len(function.outputs):
            return f"function '{call.op_type}' is called with another number of outputs"
    return None


_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def _all_nodes(model: ir.Model) -> list[ir.Node]:
    nodes = list(model.graph.all_nodes())
    for function in model.functions.values():
        nodes.extend(function.all_nodes())
    return nodes
