"""ONNX shape inference over an `ir.Model` without copying its weights."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir

from lprc.core.graph import vendor_inference

SMALL = 1024
"""Initialisers of at most this many bytes go along: they may be shapes."""


def infer(model: ir.Model, *, one_sample: bool = False) -> dict[str, ir.Value]:
    """The types and shapes that ONNX shape inference finds, by value name.

    Nodes that it can't infer through are passed over. Where the shapes written in the file
    contradict it, it runs again without them.

    Args:
        model: It is not changed.
        one_sample: Whether to take inputs' first dimensions that are not known for 1.

    Raises:
        onnx.shape_inference.InferenceError: The graph contradicts itself.
    """
    proto = _bare(model)
    if one_sample:
        _set_batch(proto)
    try:
        inferred = vendor_inference.infer_shapes(proto, strict_mode=False, data_prop=True)
    except onnx.shape_inference.InferenceError:
        del proto.graph.value_info[:]
        inferred = vendor_inference.infer_shapes(proto, strict_mode=False, data_prop=True)
    return {info.name: _value(info) for info in _infos(inferred)}


def _value(info: onnx.ValueInfoProto) -> ir.Value:
    """As onnx-ir reads it, but three times as fast for tensors, which nearly all are.

    Names that the inference invents (``unk__7``) say nothing, and would hide that a dimension is
    unknown.
    """
    kind = info.type
    if not kind.HasField("tensor_type") or not kind.tensor_type.elem_type:
        return ir.serde.deserialize_value_info_proto(info, None)
    tensor = kind.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = ir.Shape([_dimension(dim) for dim in tensor.shape.dim])
    dtype = ir.DataType(tensor.elem_type)
    return ir.Value(name=info.name, shape=shape, type=ir.TensorType(dtype))


def _dimension(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    name = str(dim.dim_param)
    return None if not name or name.startswith("unk__") else name


def _infos(proto: onnx.ModelProto) -> Iterator[onnx.ValueInfoProto]:
    """What is said of values, in the main graph and in all subgraphs."""
    pending = [proto.graph]
    while pending:
        graph = pending.pop()
        yield from graph.value_info
        yield from graph.output
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    pending.append(attribute.g)
                pending.extend(attribute.graphs)


def _set_batch(proto: onnx.ModelProto) -> None:
    """Make 1 of inputs' first dimensions that are not known, and of all that have their names."""
    names = set()
    inputs = [info.type.tensor_type.shape.dim for info in proto.graph.input]
    for dim in (dims[0] for dims in inputs if dims):
        if not dim.HasField("dim_value"):
            names.add(dim.dim_param)
            dim.dim_value = 1
    names.discard("")
    for info in (*proto.graph.input, *_infos(proto)):
        for dim in info.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_value = 1


def _bare(model: ir.Model) -> onnx.ModelProto:
    """`skeleton` without what inference has no use for: names, origins, what initialisers are."""
    if model.functions:
        return skeleton(model)
    proto = onnx.ModelProto(ir_version=model.ir_version or onnx.IR_VERSION)
    for domain, version in model.graph.opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    proto.graph.name = model.graph.name or "graph"
    large = _large(model)
    inputs = [
        *model.graph.inputs,
        *(value for value in large.values() if not value.is_graph_input()),
    ]
    proto.graph.input.extend(map(_info, inputs))
    proto.graph.output.extend(map(_info, model.graph.outputs))
    for name, value in model.graph.initializers.items():
        if name not in large and value.const_value is not None:
            ir.serde.serialize_tensor_into(proto.graph.initializer.add(), value.const_value)
    for node in model.graph:
        _add_node(proto.graph, node)
        for value in node.outputs:
            if value.type is not None and not value.is_graph_output():
                proto.graph.value_info.append(_info(value))
    return proto


def _info(value: ir.Value) -> onnx.ValueInfoProto:
    if value.is_initializer() and value.shape is None and value.const_value is not None:
        tensor = value.const_value
        dims = [dim for dim in tensor.shape if isinstance(dim, int)]
        return onnx.helper.make_tensor_value_info(value.name or "", int(tensor.dtype), dims)
    return ir.serde.serialize_value(value)


def _add_node(graph: onnx.GraphProto, node: ir.Node) -> None:
    proto = graph.node.add(op_type=node.op_type, domain=node.domain, overload=node.overload)
    proto.input.extend("" if value is None else value.name or "" for value in node.inputs)
    proto.output.extend(value.name or "" for value in node.outputs)
    for attribute in node.attributes.values():
        ir.serde.serialize_attribute_into(proto.attribute.add(), attribute)


def _large(model: ir.Model) -> dict[str, ir.Value]:
    """The main graph's initialisers that are inputs in a skeleton, by name."""
    return {
        name: value
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
        and (value.const_value.nbytes > SMALL or _is_overridable(model, value))
    }


def skeleton(model: ir.Model) -> onnx.ModelProto:
    """`model` as a proto whose large initialisers are inputs of the same type instead.

    So are those that a caller may override: what their defaults say of shapes need not hold. Only
    the main graph's: subgraphs take their weights along.
    """
    large = _large(model)
    tensors = {name: value.const_value for name, value in large.items()}
    try:
        for value in large.values():
            value.const_value = _PLACEHOLDER
        proto = ir.serde.serialize_model(model)
    finally:
        for name, value in large.items():
            value.const_value = tensors[name]
    kept = [tensor for tensor in proto.graph.initializer if tensor.name not in large]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    declared = {value.name for value in proto.graph.input}
    for name, tensor in tensors.items():
        if name not in declared and tensor is not None:
            dims = [dim for dim in tensor.shape if isinstance(dim, int)]
            info = onnx.helper.make_tensor_value_info(name, int(tensor.dtype), dims)
            proto.graph.input.append(info)
    return proto


_PLACEHOLDER = ir.tensor([0.0])


def _is_overridable(model: ir.Model, value: ir.Value) -> bool:
    """Whether an initialiser is a default; before IR version 4 all had to be inputs."""
    return value.is_graph_input() and (model.ir_version or 0) >= 4


def is_open(value: ir.Value) -> bool:
    """Whether inference might still say something of `value`."""
    if value.type is None or (isinstance(value.type, ir.TensorType) and value.shape is None):
        return True
    return value.shape is not None and any(
        not isinstance(dim, int) and dim.value is None for dim in value.shape
    )


def is_more(current: ir.Value, inferred: ir.Value) -> bool:
    """Whether `inferred` says something that `current` does not, and contradicts nothing."""
    if inferred.type is None:
        return False
    if current.type is None:
        return True
    if current.type != inferred.type or inferred.shape is None:
        return False
    if current.shape is None:
        return True
    return len(current.shape) == len(inferred.shape) and any(
        not isinstance(old, int)
        and (isinstance(new, int) or (old.value is None and new.value is not None))
        for old, new in zip(current.shape, inferred.shape, strict=True)
    )


def refine(value: ir.Value, inferred: ir.Value) -> None:
    """Give `value` what `inferred` knows besides."""
    if value.type is None:
        value.type = inferred.type
    if value.shape is None or inferred.shape is None:
        value.shape = inferred.shape if value.shape is None else value.shape
        return
    dims = [
        old if isinstance(old, int) or (not isinstance(new, int) and old.value is not None) else new
        for old, new in zip(value.shape, inferred.shape, strict=True)
    ]
    value.shape = ir.Shape(dims)
