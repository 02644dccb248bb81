"""Mutations of what a model says of its values: attributes, tensors, types, shapes, versions."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, defs, helper, numpy_helper

from . import stumbling_blocks as edges
from .graph_mutations import NothingToDoError, Rng, a_graph, a_node, graphs, value_names
from .stumbling_blocks import choice

ATTRIBUTES = sorted(
    {(schema.name, name) for schema in defs.get_all_schemas() for name in schema.attributes}
)


def change_attribute(rng: Rng, model: onnx.ModelProto) -> None:
    """A number, a text or a list of an attribute, within its type."""
    attribute = _an_attribute(rng, model)
    if attribute.type == AttributeProto.INT:
        attribute.i = edges.integer(rng)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = edges.number(rng)
    elif attribute.type == AttributeProto.STRING:
        attribute.s = choice(rng, edges.TEXT_BYTES)
    elif attribute.type == AttributeProto.INTS:
        _change_list(rng, attribute.ints, edges.integer)
    elif attribute.type == AttributeProto.FLOATS:
        _change_list(rng, attribute.floats, edges.number)
    elif attribute.type == AttributeProto.TENSOR:
        _change_tensor(rng, attribute.t)
    else:
        raise NothingToDoError


def _an_attribute(rng: Rng, model: onnx.ModelProto) -> AttributeProto:
    everything = [a for graph in graphs(model) for node in graph.node for a in node.attribute]
    if not everything:
        raise NothingToDoError
    return choice(rng, everything)


def _change_list(rng: Rng, items, draw) -> None:
    how = int(rng.integers(4))
    if how == 0 and items:
        items.pop(int(rng.integers(len(items))))
    elif how == 1:
        items.append(draw(rng))
    elif how == 2:
        del items[:]
    elif items:
        items[int(rng.integers(len(items)))] = draw(rng)


def retype_attribute(rng: Rng, model: onnx.ModelProto) -> None:
    attribute = _an_attribute(rng, model)
    how = int(rng.integers(4))
    if how == 0:
        attribute.type = choice(rng, list(AttributeProto.AttributeType.values()))
    elif how == 1:
        attribute.ref_attr_name = choice(rng, ["alpha", "axis", "zz", attribute.name])
    elif how == 2:
        attribute.name = choice(rng, ["axis", "alpha", "perm", "to", "zz", "", "kernel_shape"])
    else:
        value = choice(rng, [0, 1.5, b"x", [1, 2], [1.0], [b"a"], np.zeros(2, np.float32)])
        value = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        attribute.CopyFrom(helper.make_attribute(attribute.name, value))


def change_attributes(rng: Rng, model: onnx.ModelProto) -> None:
    """One goes, one comes twice, or one comes that the operator has or has not."""
    _, node = a_node(rng, model)
    how = int(rng.integers(4))
    if how == 0 and node.attribute:
        del node.attribute[int(rng.integers(len(node.attribute)))]
    elif how == 1 and node.attribute:
        node.attribute.add().CopyFrom(choice(rng, list(node.attribute)))
    else:
        own = [name for operator, name in ATTRIBUTES if operator == node.op_type]
        name = choice(rng, own) if own and how == 2 else choice(rng, ATTRIBUTES)[1]
        node.attribute.append(helper.make_attribute(name, _attribute_value(rng, node, name)))


def _attribute_value(rng: Rng, node: onnx.NodeProto, name: str):
    kind = None
    if defs.has(node.op_type):
        described = defs.get_schema(node.op_type).attributes.get(name)
        kind = described.type.value if described is not None else None
    values = {
        AttributeProto.INT: edges.integer(rng), AttributeProto.FLOAT: edges.number(rng),
        AttributeProto.STRING: choice(rng, edges.TEXT_BYTES),
        AttributeProto.INTS: [edges.integer(rng) for _ in range(rng.integers(1, 5))],
        AttributeProto.FLOATS: [edges.number(rng) for _ in range(rng.integers(1, 5))],
    }  # fmt: skip
    return values.get(kind) if kind in values else choice(rng, list(values.values()))


def change_initializer(rng: Rng, model: onnx.ModelProto) -> None:
    bodies = [graph for graph in graphs(model) if getattr(graph, "initializer", None)]
    if not bodies:
        raise NothingToDoError
    graph = choice(rng, bodies)
    tensor = choice(rng, list(graph.initializer))
    how = int(rng.integers(6))
    if how == 0:
        graph.initializer.add().CopyFrom(tensor)
    elif how == 1:
        graph.initializer.remove(tensor)
    elif how == 2:
        tensor.name = choice(rng, value_names(graph))
    elif how == 3:
        graph.input.append(helper.make_tensor_value_info(
            tensor.name, tensor.data_type or 1, list(tensor.dims) if rng.random() < 0.7 else [1]
        ))  # fmt: skip
    else:
        _change_tensor(rng, tensor)


def _change_tensor(rng: Rng, tensor: TensorProto) -> None:
    how = int(rng.integers(8))
    if how == 0:
        tensor.data_type = choice(rng, edges.TYPES)
    elif how == 1:
        _change_list(rng, tensor.dims, edges.integer)
    elif how == 2:
        tensor.raw_data = tensor.raw_data[: int(rng.integers(len(tensor.raw_data) + 1))]
    elif how == 3:
        tensor.raw_data = tensor.raw_data + rng.bytes(int(rng.integers(1, 9)))
    elif how == 4:
        tensor.data_location = TensorProto.EXTERNAL
        place = choice(rng, ["weights.bin", "../x", "/etc/passwd", "", "model.onnx", ".", "a\x00b"])
        entries = {"location": place, "offset": str(edges.integer(rng)), "length": "8"}
        for key, value in list(entries.items())[: int(rng.integers(1, 4))]:
            tensor.external_data.add(key=key, value=value)
    elif how == 5:
        tensor.int64_data.append(edges.integer(rng))
    else:
        _change_numbers(rng, tensor)


def _change_numbers(rng: Rng, tensor: TensorProto) -> None:
    """Other numbers of the same type: shapes, axes, scales, weights."""
    try:
        array = numpy_helper.to_array(tensor).copy()
    except Exception as error:
        raise NothingToDoError from error
    if not array.size or array.dtype.kind not in "fiub":
        raise NothingToDoError
    count = array.size if rng.random() < 0.2 else 1
    for index in rng.integers(0, array.size, min(count, 50)):
        new = edges.number(rng) if array.dtype.kind == "f" else edges.integer(rng)
        if array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            new = max(int(limits.min), min(int(limits.max), new))
        with np.errstate(all="ignore"):
            array.flat[int(index)] = new
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def change_interface(rng: Rng, model: onnx.ModelProto) -> None:
    """Inputs and outputs of a graph: one goes, comes twice, comes anew, or two change places."""
    graph = a_graph(rng, model)
    if isinstance(graph, onnx.FunctionProto):
        raise NothingToDoError
    field = graph.input if rng.random() < 0.5 else graph.output
    how = int(rng.integers(4))
    if how == 0 and field:
        del field[int(rng.integers(len(field)))]
    elif how == 1 and field:
        field.add().CopyFrom(choice(rng, list(field)))
    elif how == 2:
        name = choice(rng, value_names(graph))
        field.append(helper.make_tensor_value_info(name, int(rng.integers(1, 24)), [1, "N"]))
    elif field:
        field[0].name, field[-1].name = field[-1].name, field[0].name


def change_declaration(rng: Rng, model: onnx.ModelProto) -> None:
    """The type or the shape that an input, an output or a value is said to have."""
    graph = a_graph(rng, model)
    if isinstance(graph, onnx.FunctionProto):
        raise NothingToDoError
    holders = [*graph.input, *graph.output, *graph.value_info]
    if not holders or rng.random() < 0.15:
        name = choice(rng, value_names(graph))
        graph.value_info.append(helper.make_tensor_value_info(name, 1, [2, None, "N"]))
        return
    holder = choice(rng, holders)
    kind = holder.type.tensor_type
    how = int(rng.integers(8))
    if how == 0:
        kind.elem_type = choice(rng, edges.TYPES)
    elif how == 1:
        kind.ClearField("shape")
    elif how == 2:
        holder.ClearField("type")
    elif how == 3:
        inner = onnx.TypeProto.FromString(holder.type.SerializeToString())
        choice(rng, [holder.type.sequence_type, holder.type.optional_type]).elem_type.CopyFrom(
            inner
        )
    elif how == 4 and kind.shape.dim:
        del kind.shape.dim[int(rng.integers(len(kind.shape.dim)))]
    elif how == 5 or not kind.shape.dim:
        kind.shape.dim.add().dim_value = edges.integer(rng)
    else:
        _change_dimension(rng, choice(rng, list(kind.shape.dim)))


def _change_dimension(rng: Rng, dimension) -> None:
    how = rng.random()
    if how < 0.5:
        dimension.dim_value = edges.integer(rng)
    elif how < 0.8:
        dimension.dim_param = choice(rng, ["N", "batch", "N*2", *edges.NAMES])
    else:
        dimension.Clear()


def change_versions(rng: Rng, model: onnx.ModelProto) -> None:
    how = rng.random()
    if how < 0.5 and model.opset_import:
        entry = choice(rng, list(model.opset_import))
        entry.version = int(rng.integers(1, 27)) if rng.random() < 0.8 else edges.integer(rng)
    elif how < 0.7:
        model.ir_version = int(rng.integers(1, 14)) if rng.random() < 0.7 else edges.integer(rng)
    elif how < 0.85 and model.opset_import:
        del model.opset_import[int(rng.integers(len(model.opset_import)))]
    else:
        domain = choice(rng, ["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "my"])
        model.opset_import.append(
            onnx.OperatorSetIdProto(domain=domain, version=edges.integer(rng))
        )


def change_element_type(rng: Rng, model: onnx.ModelProto) -> None:
    """All that is float32 becomes of another type."""
    target = choice(rng, [
        TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.FLOAT8E4M3FN,
        TensorProto.INT64, TensorProto.INT8, TensorProto.INT4, TensorProto.BOOL, TensorProto.STRING,
    ])  # fmt: skip
    for graph in graphs(model):
        if isinstance(graph, onnx.FunctionProto):
            continue
        for holder in (*graph.input, *graph.output, *graph.value_info):
            if holder.type.tensor_type.elem_type == TensorProto.FLOAT:
                holder.type.tensor_type.elem_type = target
        for tensor in graph.initializer:
            if tensor.data_type == TensorProto.FLOAT and target != TensorProto.STRING:
                array = np.nan_to_num(numpy_helper.to_array(tensor)).clip(0, 7)
                kind = helper.tensor_dtype_to_np_dtype(target)
                tensor.CopyFrom(numpy_helper.from_array(array.astype(kind), tensor.name))


def change_metadata(rng: Rng, model: onnx.ModelProto) -> None:
    """What passes and tools write beside the graph, forged."""
    _, node = a_node(rng, model)
    holder = choice(rng, [model, model.graph, node, *model.graph.value_info, *model.graph.output])
    for _ in range(int(rng.integers(1, 3))):
        key = choice(rng, ["lprc.origin", "lprc.range", "lprc.source", "namespace", *edges.NAMES])
        value = choice(rng, ["[]", "null", '["a"]', "{}", "1", *edges.NAMES])
        holder.metadata_props.add(key=key, value=value)
    node.name = choice(rng, edges.NAMES)


MUTATIONS = (
    change_attribute, change_attribute, change_attribute, retype_attribute, change_attributes,
    change_attributes, change_initializer, change_initializer, change_initializer, change_interface,
    change_declaration, change_declaration, change_versions, change_element_type, change_metadata,
)  # fmt: skip
