"""The gradients of a graph's outputs with respect to its weights, as an ONNX graph of their own.

Reverse-mode differentiation by rules for each operator, run in ONNX Runtime: no training framework
is needed. Only graphs with static shapes, and only operators that have a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import to_proto


class NoGradientError(Exception):
    """An operator, or a form of one, that has no rule; the message names it."""


def gradient_model(model: ir.Model, weights: Sequence[str], batch: int) -> onnx.ModelProto:
    """A graph that computes the gradients of ``sum(output * seed)`` over all outputs.

    Args:
        model: The graph; its first dimensions of inputs are set to `batch`.
        weights: Initialisers; they become inputs of the same names.
        batch: Samples at once.

    Returns:
        Its inputs are those of `model`, the `weights` and ``seed.NAME`` for each output; its
        outputs those of `model` and ``gradient.NAME`` for each weight.

    Raises:
        NoGradientError: An operator between weights and outputs has no rule.
    """
    proto = to_proto(model)
    for value in proto.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    # Recorded shapes may have symbols in them.
    del proto.graph.value_info[:]
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    return _Backward(inferred, list(weights)).build()


class _Backward:
    def __init__(self, proto: onnx.ModelProto, weights: list[str]) -> None:
        self.proto = proto
        self.graph = proto.graph
        self.weights = weights
        self.constants = {
            initializer.name: numpy_helper.to_array(initializer)
            for initializer in self.graph.initializer
        }
        self.shapes: dict[str, list[int]] = {}
        for value in (*self.graph.input, *self.graph.value_info, *self.graph.output):
            dims = value.type.tensor_type.shape.dim
            self.shapes[value.name] = [dim.dim_value for dim in dims]
        self.shapes |= {name: list(array.shape) for name, array in self.constants.items()}
        self.sums: dict[str, list[str]] = {}
        self.count = 0

    def build(self) -> onnx.ModelProto:
        nodes = list(self.graph.node)
        needed = set(self.weights)
        for node in nodes:
            if needed & set(node.input):
                needed.update(node.output)
        for value in list(self.graph.output):
            seed = f"seed.{value.name}"
            shape = self.shapes[value.name]
            self.graph.input.append(helper.make_tensor_value_info(seed, 1, shape))
            self.sums[value.name] = [seed]
        for node in reversed(nodes):
            if node.output[0] not in needed or node.output[0] not in self.sums:
                continue
            rule = RULES.get(node.op_type) if node.domain in editing.ONNX_DOMAIN else None
            if rule is None:
                raise NoGradientError(f"no gradient of {node.op_type}")
            given = self.total(node.output[0])
            for index, name in enumerate(rule(self, node, given)):
                if name is not None and node.input[index] in needed:
                    self.sums.setdefault(node.input[index], []).append(name)
        kept = [
            initializer
            for initializer in self.graph.initializer
            if initializer.name not in self.weights
        ]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        for name in self.weights:
            shape = self.shapes[name]
            self.graph.input.append(helper.make_tensor_value_info(name, 1, shape))
            gradient = self.total(name) if name in self.sums else self.constant(np.zeros(shape))
            self.graph.node.append(helper.make_node("Identity", [gradient], [f"gradient.{name}"]))
            self.graph.output.append(helper.make_tensor_value_info(f"gradient.{name}", 1, shape))
        del self.graph.value_info[:]
        return self.proto

    def total(self, name: str) -> str:
        parts = self.sums[name]
        if len(parts) > 1:
            self.sums[name] = [self.node("Sum", parts)]
        return self.sums[name][0]

    def node(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        self.count += 1
        output = f"backward.{self.count}"
        self.graph.node.append(helper.make_node(op_type, inputs, [output], **attributes))
        return output

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        self.count += 1
        name = f"backward.{self.count}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def known(self, name: str) -> np.ndarray:
        if name not in self.constants:
            raise NoGradientError("an operand that is not constant")
        return self.constants[name]

    def unbroadcast(self, name: str, given: list[int], wanted: list[int]) -> str:
        """Sum over the axes along which an operand of shape `wanted` was repeated."""
        padded = [1] * (len(given) - len(wanted)) + wanted
        axes = [axis for axis, size in enumerate(padded) if size == 1 and given[axis] != 1]
        if axes:
            name = self.node("ReduceSum", [name, self.ints(*axes)], keepdims=1)
        return name if padded == wanted else self.node("Reshape", [name, self.ints(*wanted)])


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _window(node: onnx.NodeProto, kernel: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations and pads."""
    attributes = _attributes(node)
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or attributes.get("ceil_mode", 0):
        raise NoGradientError(f"no gradient of {node.op_type} with automatic padding")
    ones = [1] * len(kernel)
    return (
        list(attributes.get("strides", ones)),
        list(attributes.get("dilations", ones)),
        list(attributes.get("pads", [0] * (2 * len(kernel)))),
    )


def _spread(
    back: _Backward, given: str, weight: str, node: onnx.NodeProto, kernel: list[int], group: int
) -> str:
    """ConvTranspose of `given` to the shape of the node's input."""
    strides, dilations, pads = _window(node, kernel)
    inputs, outputs = back.shapes[node.input[0]][2:], back.shapes[node.output[0]][2:]
    rank = len(kernel)
    rest = [
        inputs[i] + pads[i] + pads[rank + i]
        - ((outputs[i] - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1)
        for i in range(rank)
    ]  # fmt: skip
    full = back.node(
        "ConvTranspose", [given, weight], strides=strides, dilations=dilations, group=group
    )
    # What the last window does not reach has no gradient; what was padding has none either.
    grown = [0, 0, *[0] * rank, 0, 0, *rest]
    if any(rest):
        full = back.node("Pad", [full, back.ints(*grown)])
    if not any(pads):
        return full
    starts = pads[:rank]
    ends = [start + size for start, size in zip(starts, inputs, strict=True)]
    axes = back.ints(*range(2, 2 + rank))
    return back.node("Slice", [full, back.ints(*starts), back.ints(*ends), axes])


def _conv(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    if _attributes(node).get("group", 1) != 1:
        raise NoGradientError("no gradient of grouped Conv")
    data, weight = node.input[:2]
    kernel = back.shapes[weight][2:]
    strides, dilations, pads = _window(node, kernel)
    rank = len(kernel)
    swap = [1, 0, *range(2, 2 + rank)]
    turned = back.node("Transpose", [data], perm=swap)
    seen = back.node("Transpose", [given], perm=swap)
    # Its window may be larger than the kernel where the last stride does not reach the border.
    wide = back.node("Conv", [turned, seen], strides=dilations, dilations=strides, pads=pads)
    cut = back.node(
        "Slice",
        [wide, back.ints(*[0] * rank), back.ints(*kernel), back.ints(*range(2, 2 + rank))],
    )
    of_weight = back.node("Transpose", [cut], perm=swap)
    of_data = _spread(back, given, weight, node, kernel, 1)
    gradients: list[str | None] = [of_data, of_weight]
    if len(node.input) > 2:
        axes = back.ints(0, *range(2, 2 + rank))
        gradients.append(back.node("ReduceSum", [given, axes], keepdims=0))
    return gradients


def _relu(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    positive = back.node("Greater", [node.output[0], back.constant(0.0)])
    return [back.node("Mul", [given, back.node("Cast", [positive], to=1)])]


def _max_pool(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    if _attributes(node).get("storage_order", 0):
        raise NoGradientError("no gradient of MaxPool in column-major order")
    if len(node.output) < 2:
        node.output.append(f"{node.output[0]}.indices")
    shape = back.shapes[node.input[0]]
    zeros = back.constant(np.zeros(int(np.prod(shape))))
    flat = [back.node("Reshape", [name, back.ints(-1)]) for name in (node.output[1], given)]
    spread = back.node("ScatterElements", [zeros, *flat], axis=0, reduction="add")
    return [back.node("Reshape", [spread, back.ints(*shape)])]


def _average_pool(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    kernel = list(_attributes(node)["kernel_shape"])
    _, _, pads = _window(node, kernel)
    if any(pads):
        raise NoGradientError("no gradient of AveragePool that pads")
    channels = back.shapes[node.input[0]][1]
    weight = back.constant(np.full((channels, 1, *kernel), 1 / np.prod(kernel)))
    return [_spread(back, given, weight, node, kernel, channels)]


def _slice(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    shape = back.shapes[node.input[0]]
    rank = len(shape)
    starts, ends = (back.known(name).tolist() for name in node.input[1:3])
    axes = back.known(node.input[3]).tolist() if len(node.input) > 3 else list(range(len(starts)))
    steps = back.known(node.input[4]).tolist() if len(node.input) > 4 else [1] * len(axes)
    pads = [0] * (2 * rank)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step != 1:
            raise NoGradientError("no gradient of Slice with a step")
        first, last, _ = slice(start, end).indices(shape[axis])
        pads[axis % rank], pads[rank + axis % rank] = first, shape[axis] - last
    return [back.node("Pad", [given, back.ints(*pads)])]


def _binary(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    left, right = node.input
    if node.op_type == "Add":
        parts = [given, given]
    elif node.op_type == "Sub":
        parts = [given, back.node("Neg", [given])]
    elif node.op_type == "Mul":
        parts = [back.node("Mul", [given, right]), back.node("Mul", [given, left])]
    else:
        of_left = back.node("Div", [given, right])
        quotient = back.node("Mul", [of_left, node.output[0]])
        parts = [of_left, back.node("Neg", [quotient])]
    shape = back.shapes[node.output[0]]
    return [
        back.unbroadcast(part, shape, back.shapes[name])
        for part, name in zip(parts, (left, right), strict=True)
    ]


def _reduce_mean(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    shape = back.shapes[node.input[0]]
    attributes = _attributes(node)
    axes = attributes.get("axes")
    if axes is None:
        axes = back.known(node.input[1]).tolist() if len(node.input) > 1 else range(len(shape))
    reduced = {axis % len(shape) for axis in axes}
    kept = [1 if axis in reduced else size for axis, size in enumerate(shape)]
    count = np.prod([shape[axis] for axis in reduced])
    shaped = back.node("Reshape", [given, back.ints(*kept)])
    scaled = back.node("Mul", [shaped, back.constant(1 / count)])
    return [back.node("Expand", [scaled, back.ints(*shape)]), None]


def _concat(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    axis, offset, parts = int(_attributes(node)["axis"]), 0, []
    for name in node.input:
        size = back.shapes[name][axis]
        bounds = [back.ints(offset), back.ints(offset + size), back.ints(axis)]
        parts.append(back.node("Slice", [given, *bounds]))
        offset += size
    return list(parts)


def _reshape(back: _Backward, node: onnx.NodeProto, given: str) -> list[str | None]:
    return [back.node("Reshape", [given, back.ints(*back.shapes[node.input[0]])]), None]


Rule = Callable[[_Backward, onnx.NodeProto, str], list[str | None]]

RULES: dict[str, Rule] = {
    "Add": _binary,
    "AveragePool": _average_pool,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _binary,
    "Flatten": _reshape,
    "Identity": _reshape,
    "MaxPool": _max_pool,
    "Mul": _binary,
    "ReduceMean": _reduce_mean,
    "Relu": _relu,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _reshape,
    "Sub": _binary,
    "Unsqueeze": _reshape,
}
"""The gradients of each operator's inputs from the gradient of its output."""
