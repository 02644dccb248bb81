"""Conv, ConvTranspose, Gemm and MatMul as ``y = W x + b``, and channelwise changes to W and b."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import LINEAR
from lprc.core.graph.provenance import inherit
from lprc.core.passing import precision

Float = NDArray[np.float64]

NOT_LINEAR = "no Conv, ConvTranspose, Gemm or MatMul beside it"
SHARED_OUTPUT = "the linear operator's output has other uses"


@dataclass(frozen=True)
class Affine:
    """``y = factor * x + offset`` for each channel; both float64 [channels]."""

    factor: Float
    offset: Float

    @property
    def size(self) -> int:
        """The number of channels."""
        return len(self.factor)

    def is_finite(self) -> bool:
        """Whether no element is NaN or infinite."""
        return bool(np.isfinite(self.factor).all() and np.isfinite(self.offset).all())


@dataclass(frozen=True)
class Linear:
    """A linear operator with a constant weight.

    Attributes:
        node: The Conv, ConvTranspose, Gemm or MatMul.
        output: Its output, the bias included.
        weight: As float64, in the node's own layout.
        bias: float64 [output channels]; zeros where the node has none.
        dtype: The type that the weight is stored in.
        bias_node: The Add behind a MatMul that holds its bias; None for the others.
    """

    node: ir.Node
    output: ir.Value
    weight: Float
    bias: Float
    dtype: np.dtype[Any]
    bias_node: ir.Node | None = None

    @property
    def out_axis(self) -> int:
        """The axis of `weight` with the output channels (of one group, for ConvTranspose)."""
        if self.node.op_type == "Conv":
            return 0
        if self.node.op_type == "Gemm" and editing.attribute(self.node, "transB", 0):
            return 0
        return 1

    @property
    def groups(self) -> int:
        """The groups of a Conv or ConvTranspose; 1 for the others."""
        return int(editing.attribute(self.node, "group", 1))


def of_output(value: ir.Value | None, channels: int) -> Linear | str:
    """The linear operator that makes `value` for one user alone, or why there is none to change.

    Args:
        value: An activation; its axis 1 (the last, for MatMul) has the output channels.
        channels: How many channels the change to it has.
    """
    node = value.producer() if value is not None else None
    if value is None or node is None:
        return NOT_LINEAR
    if editing.is_op(node, "Add"):
        return _matmul_add(node, value, channels)
    if not editing.is_op(node, *LINEAR):
        return NOT_LINEAR
    if not editing.is_private(value):
        return SHARED_OUTPUT
    layer = _linear(node, value)
    if isinstance(layer, str):
        return layer
    return layer if len(layer.bias) == channels else "channels do not match"


def of_node(node: ir.Node) -> Linear | str:
    """A Conv, ConvTranspose, Gemm or MatMul, or why its weight or bias is none to change."""
    return _linear(node, node.outputs[0])


def of_input(value: ir.Value, channels: int, *, pads_matter: bool = True) -> Linear | str:
    """The Conv that alone uses `value` as its input, or why there is none to change.

    Args:
        value: An activation.
        channels: How many channels the change to it has.
        pads_matter: Whether the Conv must not pad, because the change moves zero.
    """
    node = editing.sole_user(value)
    if node is None or not editing.is_op(node, "Conv") or node.inputs[0] is not value:
        return NOT_LINEAR
    if pads_matter and pads(node):
        return "the Conv behind it pads"
    layer = _linear(node, node.outputs[0])
    if isinstance(layer, str):
        return layer
    inputs = layer.weight.shape[1] * layer.groups
    return layer if inputs == channels else "channels do not match"


def pads(node: ir.Node) -> bool:
    """Whether a Conv puts zeros around its input."""
    auto_pad = editing.attribute(node, "auto_pad", "NOTSET")
    if auto_pad == "NOTSET":
        return any(editing.attribute(node, "pads", ()))
    return bool(auto_pad != "VALID")


def outputs_scaled(linear: Linear, affine: Affine) -> Linear | str:
    """`linear` with W and b such that it puts out ``factor * y + offset``; to be stored.

    Returns:
        A reason where the type of the weights does not hold the new ones.
    """
    factor = affine.factor
    if linear.node.op_type == "ConvTranspose":
        # W is [in, out / groups, …]: the inputs of group g meet only the outputs of group g.
        per_group = factor.reshape(linear.groups, -1)
        repeats = linear.weight.shape[0] // linear.groups
        scaled = linear.weight * _at_axes(
            np.repeat(per_group, repeats, axis=0), (0, 1), linear.weight.ndim
        )
    else:
        scaled = linear.weight * _at_axes(factor, (linear.out_axis,), linear.weight.ndim)
    return _storable(linear, scaled, linear.bias * factor + affine.offset)


def inputs_scaled(linear: Linear, affine: Affine, largest: float | None = None) -> Linear | str:
    """A Conv with W and b such that it does for `x` what it did for ``factor * x + offset``.

    Args:
        linear: The Conv.
        affine: Of its input channels.
        largest: The largest magnitude of `x`; None for all that a contract allows.

    Returns:
        A reason where the type of the weights does not hold the new ones.
    """
    groups, shape = linear.groups, linear.weight.shape
    by_group = linear.weight.reshape(groups, shape[0] // groups, *shape[1:])
    factor = affine.factor.reshape(groups, 1, shape[1])
    offset = affine.offset.reshape(groups, 1, shape[1])
    scaled = by_group * _at_axes(factor, (0, 1, 2), by_group.ndim)
    kernel_sums = by_group.reshape(groups, shape[0] // groups, shape[1], -1).sum(axis=3)
    moved = (kernel_sums * offset).sum(axis=2).reshape(-1)
    return _storable(linear, scaled.reshape(shape), linear.bias + moved, largest)


def row_sums(linear: Linear, weight: Float) -> Float:
    """The sums of `weight`, in the layout of that of `linear`, a row; float64 [output channels]."""
    if linear.node.op_type == "ConvTranspose":
        by_group = weight.reshape(linear.groups, -1, weight.shape[1], weight[0, 0].size)
        return np.asarray(by_group.sum(axis=(1, 3)).reshape(-1))
    others = tuple(axis for axis in range(weight.ndim) if axis != linear.out_axis)
    with np.errstate(invalid="ignore"):
        sums = weight.sum(axis=others) * abs(editing.attribute(linear.node, "alpha", 1.0))
    return np.asarray(sums)


def _storable(
    linear: Linear, weight: Float, bias: Float, largest: float | None = None
) -> Linear | str:
    dtype = linear.dtype
    losses = row_sums(linear, precision.lost(weight, dtype))
    return precision.why_not_storable(losses, bias, dtype, largest) or replace(
        linear, weight=weight, bias=bias
    )


def _linear(node: ir.Node, output: ir.Value) -> Linear | str:
    weight = editing.constant(editing.input_at(node, 1))
    if weight is None:
        return "the weight is not constant"
    if weight.dtype.kind != "f":
        return "the weight is not floating point"
    if not weight.size:
        return "the weight is empty"
    bias_value = editing.input_at(node, 2)
    bias = editing.constant(bias_value)
    if bias_value is not None and bias is None:
        return "the bias is not constant"
    if node.op_type == "MatMul" and weight.ndim != 2:
        return "the weight is not a matrix"
    if node.op_type == "Gemm":
        return _gemm(node, output, weight, bias)
    wide = weight.astype(np.float64)
    groups = int(editing.attribute(node, "group", 1))
    if node.op_type == "Conv":
        channels = wide.shape[0]
    elif node.op_type == "ConvTranspose":
        channels = wide.shape[1] * groups
    else:
        channels = wide.shape[1]
    flat = np.zeros(channels) if bias is None else bias.astype(np.float64)
    return _finite(Linear(node, output, wide, flat, weight.dtype))


def _gemm(
    node: ir.Node, output: ir.Value, weight: NDArray[Any], c: NDArray[Any] | None
) -> Linear | str:
    channels = weight.shape[0 if editing.attribute(node, "transB", 0) else 1]
    bias = np.zeros(channels)
    if c is not None:
        if c.size not in (1, channels) or (c.ndim == 2 and c.shape[0] != 1):
            return "C is not one value a channel"
        bias = bias + editing.attribute(node, "beta", 1.0) * c.astype(np.float64).reshape(-1)
    return _finite(Linear(node, output, weight.astype(np.float64), bias, weight.dtype))


def _matmul_add(node: ir.Node, value: ir.Value, channels: int) -> Linear | str:
    """A MatMul and the Add of its bias."""
    for inner, other in (node.inputs, tuple(reversed(node.inputs))):
        matmul = inner.producer() if inner is not None else None
        bias = editing.constant(other)
        if matmul is None or not editing.is_op(matmul, "MatMul") or bias is None:
            continue
        layer = of_output(inner, channels)
        if isinstance(layer, str):
            return layer
        if not editing.is_private(value):
            return SHARED_OUTPUT
        if bias.size != channels or bias.shape[-1] != channels or bias.ndim > 1:
            return "the Add behind the MatMul is not a bias"
        wide = bias.astype(np.float64)
        return _finite(Linear(matmul, value, layer.weight, wide, layer.dtype, node))
    return "the Add in front has two activations"


def _finite(linear: Linear) -> Linear | str:
    finite = np.isfinite(linear.weight).all() and np.isfinite(linear.bias).all()
    return linear if finite else "weights are not finite"


def _at_axes(array: Float, axes: tuple[int, ...], rank: int) -> Float:
    """`array` with its axes moved to `axes` of a tensor of `rank` dimensions, 1 elsewhere."""
    shape = [1] * rank
    for axis, size in zip(axes, array.shape, strict=True):
        shape[axis] = size
    return array.reshape(shape)


def store(linear: Linear, *, sources: Iterable[ir.Node]) -> ir.Value:
    """Give the operator the weight and the bias of `linear`; what then is its output."""
    node, bias, dtype = linear.node, linear.bias, linear.dtype
    inherit(node, sources)
    _replace_input(node, 1, precision.stored(linear.weight, dtype))
    if linear.bias_node is not None:
        index = 0 if editing.constant(linear.bias_node.inputs[0]) is not None else 1
        inherit(linear.bias_node, sources)
        _replace_input(linear.bias_node, index, bias.astype(dtype))
    elif node.op_type != "MatMul" and (bias.any() or editing.input_at(node, 2) is not None):
        if node.op_type == "Gemm":
            node.attributes["beta"] = ir.AttrFloat32("beta", 1.0)
        _replace_input(node, 2, bias.astype(dtype))
    elif node.op_type == "MatMul" and bias.any():
        return _add_bias(linear, bias.astype(dtype))
    return linear.output


def _replace_input(node: ir.Node, index: int, array: NDArray[Any]) -> None:
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    old = editing.input_at(node, index)
    hint = (
        old.name
        if old is not None and old.name
        else f"{node.name or node.op_type}.{'bias' if index == 2 else 'weight'}"
    )
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, editing.add_initializer(graph, hint, array))
    editing.remove_dead_initializer(old)


def _add_bias(linear: Linear, bias: NDArray[Any]) -> ir.Value:
    """Put an Add behind a MatMul that has no bias; return its output."""
    node, graph, output = linear.node, linear.node.graph, linear.output
    assert isinstance(graph, ir.Graph)
    follower = editing.sole_user(output)
    assert follower is not None
    value = editing.add_initializer(graph, f"{node.name or node.op_type}.bias", bias)
    return editing.new_node(
        "Add", [output, value], before=follower, sources=[node], shape=output.shape
    )
