"""What onnx.version_converter leaves behind that does not mean what it meant before.

- Constants that it makes of float attributes are float32, whatever the node computes in.
- Resize says where it samples only since opset 11, and the defaults are not what it was before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.graph import editing, shapes

_OPERANDS = {"Clip": (1, 2), "Pad": (2,)}
"""Inputs that were float attributes once, and must have the type of the first input."""


def element_types(model: ir.Model) -> dict[str, int]:
    """The element types of the values of `model`, as far as they are known, by name.

    Raises:
        onnx.shape_inference.InferenceError: The graph contradicts itself.
    """
    known = [value for graph in editing.graphs(model) for value in graph.inputs]
    known += [value for graph in editing.graphs(model) for value in graph.initializers.values()]
    known += shapes.infer(model).values()
    return {value.name or "": int(value.dtype) for value in known if value.dtype is not None}


def repair(converted: onnx.ModelProto, types: Mapping[str, int], old: int) -> str | None:
    """Give every node the meaning that it had; why that can't be, or None.

    Args:
        converted: It is changed.
        types: The element types of the values that nodes read.
        old: The opset that it was converted from.
    """
    for graph in _graphs(converted.graph):
        constants = _constants(graph)
        # The converter gives its own nodes no names.
        made = [node for node in graph.node if node.op_type == "Constant" and not node.name]
        new = {node.output[0]: constants[node.output[0]] for node in made}
        for node in graph.node:
            reason = _retype(node, new, types)
            if reason is None and old < 11 and node.op_type == "Resize":
                reason = _sample_as_before(node, constants)
            if reason is not None:
                return f"{node.op_type} '{node.name}': {reason}"
    return None


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _sample_as_before(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> str | None:
    given = {attribute.name: attribute for attribute in node.attribute}
    mode = given["mode"].s if "mode" in given else b"nearest"
    if mode == b"nearest":
        tensor = constants.get(node.input[2]) if len(node.input) > 2 else None
        if tensor is None:
            return "its scales are not constant, and say how opset 10 rounds"
        scales = onnx.numpy_helper.to_array(tensor)
        if (scales < 1).any() and (scales > 1).any():
            return "it enlarges and reduces, for which opset 10 rounds in two ways"
        node.attribute.append(
            onnx.helper.make_attribute("nearest_mode", "ceil" if (scales < 1).any() else "floor")
        )
    node.attribute.append(
        onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric")
    )
    return None


def _retype(
    node: onnx.NodeProto, new: Mapping[str, onnx.TensorProto], types: Mapping[str, int]
) -> str | None:
    """Give the constants `new`, which were attributes, the type of what the node reads."""
    for index in _OPERANDS.get(node.op_type, ()):
        tensor = new.get(node.input[index]) if index < len(node.input) else None
        if tensor is None:
            continue
        wanted = types.get(node.input[0])
        if wanted is None:
            return "the type of what it reads is not known"
        _cast(tensor, wanted)
    return None


def _cast(tensor: onnx.TensorProto, wanted: int) -> None:
    if tensor.data_type == wanted:
        return
    dtype = ir.DataType(wanted).numpy()
    array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
    with np.errstate(over="ignore"):
        # A bound that was left out is the largest float32, which is infinite in float16.
        array = array.astype(dtype)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)
