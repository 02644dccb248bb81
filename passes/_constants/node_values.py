"""Nodes whose inputs are all constant: what they put out, and how large that is before they run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import constants
from lprc.core.process.warm_child import VENDOR, ChildError, RefusedError
from lprc.core.running.numerics import RunError

_EVALUATE = "lprc.passes._constants.evaluation_child:evaluate"
_SMALL = 1024


def evaluate(
    nodes: Sequence[ir.Node],
    wanted: Sequence[ir.Value],
    opset_imports: Mapping[str, int],
    constants_by_name: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, NDArray[Any]]:
    """Run `nodes` in ONNX Runtime as a graph of their own; give `wanted` outputs by name.

    Args:
        nodes: In topological order. Each of their inputs is made by one of them, is constant, or
            is in `constants_by_name`.
        wanted: Outputs of `nodes`.
        opset_imports: The versions that the nodes are written for.
        constants_by_name: Values that were evaluated before, by name.

    Raises:
        RunError: ONNX Runtime can't, or the result has a type that numpy lacks.
    """
    proto = _graph_of(nodes, opset_imports)
    for name, tensor in _inputs(nodes, constants_by_name or {}):
        serialized = ir.serde.serialize_tensor(tensor)
        serialized.name = name
        proto.graph.initializer.append(serialized)
    for value in wanted:
        proto.graph.output.add(name=value.name or "")
    return _run(proto)


def _graph_of(nodes: Sequence[ir.Node], opset_imports: Mapping[str, int]) -> onnx.ModelProto:
    # Version 10 is the newest that every supported ONNX Runtime reads.
    proto = onnx.ModelProto(ir_version=min(onnx.IR_VERSION, 10))
    for domain, version in opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    proto.graph.name = "constants"
    proto.graph.node.extend(ir.serde.serialize_node(node) for node in nodes)
    return proto


def _inputs(
    nodes: Sequence[ir.Node], constants_by_name: Mapping[str, NDArray[Any]]
) -> Iterator[tuple[str, ir.TensorProtocol]]:
    """The tensors that `nodes` read from outside, by name, each once."""
    seen = {id(value) for node in nodes for value in node.outputs}
    for value in (value for node in nodes for value in node.inputs if value is not None):
        if id(value) in seen:
            continue
        seen.add(id(value))
        name = value.name or ""
        if name in constants_by_name:
            yield name, constants.tensor_of(constants_by_name[name], name)
            continue
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None:
            raise RunError(f"'{name}' is not constant")
        yield name, tensor


def _run(proto: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    try:
        outputs: dict[str, NDArray[Any]] = VENDOR.call(_EVALUATE, proto.SerializeToString())
    except RefusedError as error:
        raise RunError(f"ONNX Runtime can't evaluate a constant: {error.text}") from error
    except ChildError as error:
        raise RunError(f"ONNX Runtime {error.message} on a constant") from error
    return outputs


def output_types(
    node: ir.Node, opset_imports: Mapping[str, int], known_types: Mapping[str, onnx.TypeProto]
) -> dict[str, onnx.TypeProto]:
    """The types of the node's outputs, by name, with their shapes as far as they are known.

    Args:
        node: All of its inputs are constant or in `known_types`.
        opset_imports: The versions that it is written for.
        known_types: The types of values that are not evaluated yet, by name.
    """
    types: dict[str, onnx.TypeProto] = {}
    data: dict[str, onnx.TensorProto] = {}
    for value in (value for value in node.inputs if value is not None):
        name = value.name or ""
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None:
            types[name] = known_types[name]
            continue
        dims = [dim for dim in tensor.shape if isinstance(dim, int)]
        types[name] = onnx.helper.make_tensor_type_proto(int(tensor.dtype), dims)
        if constants.tensor_bytes(tensor) <= _SMALL:
            data[name] = ir.serde.serialize_tensor(tensor)
    try:
        version = opset_imports.get(node.domain, opset_imports.get("", 1))
        return onnx.shape_inference.infer_node_outputs(
            onnx.defs.get_schema(node.op_type, version, node.domain),
            ir.serde.serialize_node(node),
            types,
            data,
            opset_imports=[onnx.helper.make_opsetid(*item) for item in opset_imports.items()],
        )
    except (onnx.defs.SchemaError, onnx.shape_inference.InferenceError, RuntimeError):
        return {}


def type_bytes(kind: onnx.TypeProto | None) -> int | None:
    """The size of a tensor of this type; None if it is not a tensor or of no known size."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dims = [dim.dim_value for dim in kind.tensor_type.shape.dim if dim.HasField("dim_value")]
    dtype = ir.DataType(kind.tensor_type.elem_type)
    if len(dims) != len(kind.tensor_type.shape.dim) or dtype == ir.DataType.UNDEFINED:
        return None
    size = constants.STRING_BYTES if dtype == ir.DataType.STRING else dtype.itemsize
    total: int = math.ceil(math.prod(dims) * size)
    return total
