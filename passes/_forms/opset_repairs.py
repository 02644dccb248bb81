"""What onnx.version_converter leaves behind that does not mean what it meant before.

- Constants that it makes of float attributes are float32, whatever the node computes in.
- A Reshape that it makes of Softmax copies sizes of 0 instead of taking them for sizes.
- Resize says where it samples only since opset 11, and the defaults are not what it was before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.graph import editing, shapes
from lprc.core.graph.operators import POOLS

_OTHER_FLOATS = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)

_OPERANDS = {"Clip": (1, 2), "Pad": (2,)}
"""Inputs that were float attributes once, and must have the type of the first input."""


def known_values(model: ir.Model) -> dict[str, ir.Value]:
    """The values of `model` by name, with the types and shapes that inference finds.

    Raises:
        onnx.shape_inference.InferenceError: The graph contradicts itself.
    """
    values = [value for graph in editing.graphs(model) for value in graph.inputs]
    values += [value for graph in editing.graphs(model) for value in graph.initializers.values()]
    values += shapes.infer(model).values()
    return {value.name or "": value for value in values}


def repair(
    converted: onnx.ModelProto, values_before: Mapping[str, ir.Value], old: int
) -> str | None:
    """Give every node the meaning that it had; why that can't be, or None.

    Args:
        converted: It is changed.
        values_before: The values of the graph that it was converted from, by name.
        old: The opset that it was converted from.
    """
    for graph in _graphs(converted.graph):
        constants = _constants(graph)
        # The converter gives its own nodes no names.
        unnamed = [node for node in graph.node if node.op_type == "Constant" and not node.name]
        new = {node.output[0]: constants[node.output[0]] for node in unnamed}
        for node in graph.node:
            reason = _retype(node, new, values_before)
            if reason is None and old < 11 and node.op_type == "Resize":
                reason = _sample_as_before(node, constants)
            if reason is None and not node.name:
                reason = _let_be_empty(node, values_before, new_version(converted))
            if reason is None and _is_larger_than_input(node, values_before):
                reason = "a window is larger than its input, which runtimes take in several ways"
            if reason is not None:
                return f"{node.op_type} '{node.name}': {reason}" if node.name else reason
    return None


def new_version(converted: onnx.ModelProto) -> int:
    """The ONNX operator set of the converted model."""
    versions = {attribute.domain: attribute.version for attribute in converted.opset_import}
    return int(versions.get("", versions.get("ai.onnx", 1)))


def _let_be_empty(
    node: onnx.NodeProto, values_before: Mapping[str, ir.Value], version: int
) -> str | None:
    """Let a Reshape back to a Shape, which Softmax became, take a size of 0 for one."""
    if node.op_type == "Reshape" and version >= 14:
        node.attribute.append(onnx.helper.make_attribute("allowzero", 1))
    if node.op_type == "Shape" and version < 14:
        shape = editing.static_shape(values_before.get(node.input[0]))
        if shape is None or 0 in shape:
            return "a Softmax reads what may be empty, which opset 13 can't reshape"
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
    node: onnx.NodeProto, new: Mapping[str, onnx.TensorProto], values_before: Mapping[str, ir.Value]
) -> str | None:
    """Give the constants `new`, which were attributes, the type of what the node reads."""
    for index in _OPERANDS.get(node.op_type, ()):
        tensor = new.get(node.input[index]) if index < len(node.input) else None
        if tensor is None:
            continue
        value = values_before.get(node.input[0])
        if value is not None and value.dtype is not None:
            _cast(tensor, value.dtype)
        elif any(before.dtype in _OTHER_FLOATS for before in values_before.values()):
            return "the type of what it reads is not known"
    return None


def _is_larger_than_input(node: onnx.NodeProto, values_before: Mapping[str, ir.Value]) -> bool:
    """Whether the window of a pool is known to be larger than what it reads, with its pads."""
    if node.op_type not in POOLS:
        return False
    given = {attribute.name: list(attribute.ints) for attribute in node.attribute if attribute.ints}
    kernel = given.get("kernel_shape", [])
    pads = given.get("pads", [0] * 2 * len(kernel))
    padded = [begin + end for begin, end in zip(pads, pads[len(kernel) :], strict=False)]
    sizes = [
        editing.dimension(values_before.get(node.input[0]), axis + 2) for axis in range(len(kernel))
    ]
    dilations = given.get("dilations", [1] * len(kernel))
    same = any(
        attribute.name == "auto_pad" and attribute.s.startswith(b"SAME")
        for attribute in node.attribute
    )
    columns = zip(sizes, padded, kernel, dilations, strict=False)
    return not same and any(
        size is not None and size + pad < (window - 1) * dilation + 1
        for size, pad, window, dilation in columns
    )


def _cast(tensor: onnx.TensorProto, wanted: ir.DataType) -> None:
    if tensor.data_type == wanted:
        return
    dtype = wanted.numpy()
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
