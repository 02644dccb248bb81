"""Fold Add, Sub, Mul and Div by constants into the linear operator beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import AFFINE, LINEAR
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._scaling import linear_layers


@dataclass(frozen=True)
class FoldAffine(Pass):
    """Fold Add, Sub, Mul or Div by a constant into the linear operator beside it.

    That is a Conv, ConvTranspose, Gemm or MatMul. The constant must be one value, or one for each
    output channel. In front of a Conv, an Add or Sub is folded only if the Conv does not pad. An
    Add behind a MatMul is its bias and stays.

    Enters subgraphs.
    """

    name = "fold-affine"
    contract = exact
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Fold each one that can be; skip those beside a linear operator that can't."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if editing.is_op(node, *AFFINE) and node.graph is graph:
                    _fold(node, context)


def _fold(node: ir.Node, context: PassContext) -> None:
    split = _activation_and_constant(node)
    if split is None:
        return
    activation, constant = split
    producer, user = activation.producer(), editing.sole_user(node.outputs[0])
    if editing.is_op(producer, *LINEAR):
        assert producer is not None
        if producer.op_type == "MatMul" and node.op_type in ("Add", "Sub"):
            return
        _fold_behind(node, producer, activation, constant, context)
    elif editing.is_op(user, "Conv") and user is not None and user.inputs[0] is node.outputs[0]:
        _fold_in_front(node, user, activation, constant, context)


def _fold_behind(
    node: ir.Node,
    producer: ir.Node,
    activation: ir.Value,
    constant: NDArray[np.float64],
    context: PassContext,
) -> None:
    weight = editing.constant(editing.input_at(producer, 1))
    if weight is None:
        context.skip(node, "the weight is not constant")
        return
    channels = _output_channels(producer, weight)
    last = producer.op_type in ("Gemm", "MatMul")
    rank = editing.rank(activation) or (weight.ndim if not last else None)
    affine = _affine(node, activation, constant, channels, rank, axis=-1 if last else 1)
    if isinstance(affine, str):
        context.skip(node, affine)
        return
    layer = linear_layers.of_output(activation, channels)
    folded = layer if isinstance(layer, str) else linear_layers.outputs_scaled(layer, affine)
    if isinstance(folded, str):
        context.skip(node, folded)
    elif context.rewrite(node, f"folded into {producer.name}"):
        editing.replace_value(node.outputs[0], linear_layers.store(folded, sources=[node]))
        editing.remove_dead([node])


def _fold_in_front(
    node: ir.Node,
    user: ir.Node,
    activation: ir.Value,
    constant: NDArray[np.float64],
    context: PassContext,
) -> None:
    weight = editing.constant(editing.input_at(user, 1))
    if weight is None:
        context.skip(node, "the weight is not constant")
        return
    channels = weight.shape[1] * int(editing.attribute(user, "group", 1))
    affine = _affine(node, activation, constant, channels, weight.ndim, axis=1)
    if isinstance(affine, str):
        context.skip(node, affine)
        return
    if editing.rank(activation) != weight.ndim or editing.dimension(activation, 1) != channels:
        # A constant that broadcasts its input would make the Conv's input.
        context.skip(node, "the input's shape is not known")
        return
    layer = linear_layers.of_input(node.outputs[0], channels, pads_matter=bool(affine.offset.any()))
    folded = layer if isinstance(layer, str) else linear_layers.inputs_scaled(layer, affine)
    if isinstance(folded, str):
        context.skip(node, folded)
    elif context.rewrite(node, f"folded into {user.name}"):
        linear_layers.store(folded, sources=[node])
        editing.replace_value(node.outputs[0], activation)
        editing.remove_dead([node])


def _activation_and_constant(node: ir.Node) -> tuple[ir.Value, NDArray[np.float64]] | None:
    left, right = node.inputs
    for activation, other in ((left, right), (right, left)):
        array = editing.constant(other)
        if activation is None or array is None or editing.constant(activation) is not None:
            continue
        if node.op_type == "Div" and other is left:
            return None
        if array.dtype.kind == "f":
            return activation, array.astype(np.float64)
    return None


def _output_channels(node: ir.Node, weight: NDArray[np.float64]) -> int:
    if node.op_type == "Conv":
        return int(weight.shape[0])
    if node.op_type == "ConvTranspose":
        return int(weight.shape[1]) * int(editing.attribute(node, "group", 1))
    return int(weight.shape[0 if editing.attribute(node, "transB", 0) else -1])


def _affine(
    node: ir.Node,
    activation: ir.Value,
    constant: NDArray[np.float64],
    channels: int,
    rank: int | None,
    *,
    axis: int,
) -> linear_layers.Affine | str:
    if constant.size == 1:
        if constant.ndim > (rank if rank is not None else 0):
            return "the constant adds dimensions"
        per_channel = np.full(channels, constant.item())
    else:
        if rank is None or constant.ndim > rank:
            return "the constant adds dimensions"
        padded = (1,) * (rank - constant.ndim) + constant.shape
        wanted = [1] * rank
        wanted[axis] = channels
        if padded != tuple(wanted):
            return "the constant is not one value a channel"
        per_channel = constant.reshape(-1)
    one, zero = np.ones(channels), np.zeros(channels)
    with np.errstate(divide="ignore"):
        affine = {
            "Add": lambda: linear_layers.Affine(one, per_channel),
            "Sub": lambda: _subtraction(node, activation, per_channel),
            "Mul": lambda: linear_layers.Affine(per_channel, zero),
            "Div": lambda: linear_layers.Affine(1.0 / per_channel, zero),
        }[node.op_type]()
    return affine if affine.is_finite() else "the constant is not finite, or zero"


def _subtraction(
    node: ir.Node, activation: ir.Value, per_channel: NDArray[np.float64]
) -> linear_layers.Affine:
    one = np.ones(len(per_channel))
    if node.inputs[0] is activation:
        return linear_layers.Affine(one, -per_channel)
    return linear_layers.Affine(-one, per_channel)
