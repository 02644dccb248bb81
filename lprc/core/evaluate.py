"""Nodes whose inputs are all constant, evaluated by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.numerics import RunError, Session


def evaluate(
    nodes: Sequence[ir.Node], wanted: Sequence[ir.Value], opset_imports: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    """Run `nodes` as a graph of their own and return `wanted` of their outputs by name.

    Args:
        nodes: In topological order; what they take in is theirs or an initialiser.
        wanted: Outputs of `nodes`.
        opset_imports: The versions that the nodes are written for.

    Raises:
        RunError: ONNX Runtime can't.
    """
    outputs = {value.name for node in nodes for value in node.outputs}
    constants = {
        value.name: value.const_value
        for node in nodes
        for value in node.inputs
        if value is not None and value.name not in outputs
    }
    proto = onnx.ModelProto(ir_version=onnx.IR_VERSION)
    proto.ir_version = min(onnx.IR_VERSION, 10)
    for domain, version in opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    proto.graph.name = "constants"
    for node in nodes:
        proto.graph.node.append(ir.serde.serialize_node(node))
    for name, tensor in constants.items():
        if tensor is None:
            raise RunError(f"'{name}' is not constant")
        serialized = ir.serde.serialize_tensor(tensor)
        serialized.name = str(name)
        proto.graph.initializer.append(serialized)
    for value in wanted:
        proto.graph.output.add(name=value.name)
    return Session(proto.SerializeToString()).run({})
