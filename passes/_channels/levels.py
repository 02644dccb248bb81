"""Channels that hold one value everywhere, followed through a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.clip_bounds import clip_bounds
from lprc.core.graph.operators import AFFINE, GLOBAL_POOLS
from lprc.core.graph.reduction import reduced_axes
from lprc.core.passing.contract import exact_up_to_2_24
from lprc.core.passing.precision import is_absorbed
from lprc.passes._channels.axes import POOLS, aligned_axis, channel_slice, slice_bounds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """Which channels of a value are constant over space and over inputs, and at what level.

    Attributes:
        level: float64 [channels]; NaN where a channel is not constant.
        factor: int [channels]; channels with the same number other than 0 are to be multiplied
            by the same unknown number, which differs from sample to sample.
    """

    level: Floats
    factor: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> Levels:
        """The levels of the channels `order`."""
        return Levels(self.level[order], self.factor[order])

    @staticmethod
    def unknown(channels: int) -> Levels:
        """The levels of a value of which no channel is constant."""
        return Levels(np.full(channels, np.nan), np.zeros(channels, np.int64))


Known = Mapping[ir.Value, Levels]


def constant_rows(node: ir.Node) -> NDArray[np.bool_] | None:
    """Which output channels of a Conv do not depend on its input; None if that is unknown.

    Such a channel has no weights, or so small ones that adding what they make of any activation up
    to `exact_up_to_2_24.largest` to the channel's own bias leaves the bias, in the type of the
    Conv: the channel is constant already, whatever reads it. How large other channels are says
    nothing.
    """
    weight = editing.constant(editing.input_at(node, 1))
    bias_value = editing.input_at(node, 2)
    bias = editing.constant(bias_value)
    if weight is None or weight.dtype.kind != "f" or (bias_value is not None and bias is None):
        return None
    sums = np.abs(weight.astype(np.float64)).sum(axis=tuple(range(1, weight.ndim)))
    if not np.isfinite(sums).all():
        return None
    offset = np.zeros(len(weight)) if bias is None else bias.astype(np.float64)
    if offset.shape != sums.shape:
        return None  # no Conv: a pass computed that bias only now
    return np.asarray(
        (sums == 0) | is_absorbed(sums, offset, weight.dtype, exact_up_to_2_24.largest)
    )


def levels_of(node: ir.Node, levels: Known) -> Levels | None:
    """The levels of the first output of `node`; None if no channel of it is constant."""
    output_levels = _levels(node, levels)
    if output_levels is None or np.isnan(output_levels.level).all():
        return None
    # Broadcasting may have made more channels of one, or put them on another axis.
    return (
        output_levels if editing.dimension(node.outputs[0], 1) == len(output_levels.level) else None
    )


def in_order(nodes: Iterable[ir.Node]) -> list[ir.Node]:
    """Each of `nodes` behind those of them that it reads."""
    wanted, done = dict.fromkeys(nodes), dict[ir.Node, None]()
    for node in wanted:
        pending = [node]
        while pending:
            current = pending[-1]
            producers = [value.producer() for value in current.inputs if value is not None]
            first = [
                producer for producer in producers if producer in wanted and producer not in done
            ]
            if first and current not in done:
                pending += [producer for producer in first if producer is not None]
            else:
                done[pending.pop()] = None
    return list(done)


def conv_levels(node: ir.Node) -> Levels | None:
    """The levels that a Conv's constant rows have: their biases."""
    rows = constant_rows(node)
    if rows is None:
        return None
    bias = editing.constant(editing.input_at(node, 2))
    level = np.zeros(len(rows)) if bias is None else bias.astype(np.float64)
    level = np.where(rows & np.isfinite(level), level, np.nan)
    return Levels(level, np.zeros(len(rows), np.int64))


def _levels(node: ir.Node, levels: Known) -> Levels | None:
    if editing.is_op(node, "Conv"):
        return _conv(node, levels)
    if editing.is_op(node, "Concat"):
        return _concat(node, levels)
    first = levels.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
    if editing.is_op(node, *AFFINE):
        return _binary(node, levels)
    if first is None:
        return None
    if editing.is_op(node, "Identity") or (
        editing.is_op(node, "Dropout") and editing.input_at(node, 2) is None
    ):
        return first
    function = _function(node)
    if function is not None:
        # The unknown factor of a channel may be negative.
        level = np.where((first.factor == 0) | (first.level == 0), first.level, np.nan)
        return Levels(function(level), np.zeros_like(first.factor))
    if editing.is_op(node, *POOLS):
        return _pool(node, first)
    if editing.is_op(node, "ReduceMean", "ReduceMax", "ReduceMin"):
        rank = editing.rank(node.inputs[0])
        axes = None if rank is None else reduced_axes(node, rank)
        return first if axes is not None and 1 not in axes and 0 not in axes else None
    return _slice(node, first) if editing.is_op(node, "Slice") else None


def _conv(node: ir.Node, levels: Known) -> Levels | None:
    own, value = conv_levels(node), node.inputs[0]
    weight = editing.constant(editing.input_at(node, 1))
    first = None if value is None else levels.get(value)
    if own is None or weight is None or first is None:
        return own
    if weight.ndim < 2 or weight.shape[1] != 1:
        return own
    if not len(own.level) == len(first.level) == editing.attribute(node, "group", 1):
        return own
    # Depthwise: a constant goes in and a constant comes out, where no zeros are padded to it.
    bias = editing.constant(editing.input_at(node, 2))
    usable = (first.level == 0) | ((first.factor == 0) & (not pads(node)))
    sums = weight.astype(np.float64).reshape(len(weight), -1).sum(axis=1)
    level = first.level * sums + (0.0 if bias is None else bias.astype(np.float64))
    carried_level = np.where(usable & np.isfinite(level), level, np.nan)
    return Levels(np.where(np.isnan(own.level), carried_level, own.level), own.factor)


def pads(node: ir.Node) -> bool:
    """Whether a Conv or a pool may reach beyond its input."""
    auto_pad = editing.attribute(node, "auto_pad", "NOTSET")
    return bool(any(editing.attribute(node, "pads", ())) or auto_pad not in ("NOTSET", "VALID"))


def _function(node: ir.Node) -> Callable[[Floats], Floats] | None:
    if editing.is_op(node, "LeakyRelu"):
        slope = float(editing.attribute(node, "alpha", 0.01))
        return lambda level: np.where(level < 0, level * slope, level)
    if editing.is_op(node, "Clip"):
        bounds = clip_bounds(node)
        return (
            None
            if bounds is None
            else lambda level: np.minimum(np.maximum(level, bounds[0]), bounds[1])
        )
    return _FUNCTIONS.get(node.op_type) if editing.is_op(node, *_FUNCTIONS) else None


_FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "Abs": np.abs,
    "HardSwish": lambda level: level * np.clip(level / 6 + 0.5, 0, 1),
    "Neg": np.negative,
    "Relu": lambda level: np.maximum(level, 0.0),
    "Sigmoid": lambda level: 1 / (1 + np.exp(-np.maximum(level, -700))),
    "Tanh": np.tanh,
}


def _slice(node: ir.Node, first: Levels) -> Levels | None:
    bounds = slice_bounds(node)
    # Other samples have other factors.
    if bounds is None or (0 in bounds and first.factor.any()):
        return None
    taken = channel_slice(node)
    if 1 not in bounds:
        return first
    return None if taken is None else first.take(taken.indices)


# A p-norm of equal numbers is another number.
_KEEPS_LEVEL = GLOBAL_POOLS - {"GlobalLpPool"} | {"MaxPool"}


def _pool(node: ir.Node, first: Levels) -> Levels | None:
    if pads(node) and any(size > 1 for size in editing.attribute(node, "dilations", ())):
        # A window may have nothing but padding in it.
        return None
    if editing.is_op(node, *_KEEPS_LEVEL):
        return first
    if not editing.is_op(node, "AveragePool"):
        return None
    plain = (
        not any(editing.attribute(node, "pads", ()))
        and editing.attribute(node, "auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and not editing.attribute(node, "ceil_mode", 0)
    )
    if plain or not editing.attribute(node, "count_include_pad", 0):
        return first
    # A window that reaches into the padding averages zeros too.
    return Levels(np.where(first.level == 0.0, 0.0, np.nan), first.factor)


def _concat(node: ir.Node, levels: Known) -> Levels | None:
    rank = editing.rank(node.outputs[0])
    if rank is None or editing.attribute(node, "axis") not in (1, 1 - rank):
        return None
    parts = []
    for value in node.inputs:
        count = editing.dimension(value, 1)
        if value is None or count is None:
            return None
        parts.append(levels.get(value, Levels.unknown(count)))
    return Levels(
        np.concatenate([part.level for part in parts]),
        np.concatenate([part.factor for part in parts]),
    )


def _binary(node: ir.Node, levels: Known) -> Levels | None:
    left, right = node.inputs
    rank = editing.rank(node.outputs[0])
    if left is None or right is None or rank is None:
        return None
    one, other = (
        levels.get(value) if editing.rank(value) == rank else None for value in (left, right)
    )
    if one is not None and other is not None:
        return _two_levels(node, one, other)
    if one is None:
        # What stands on the right may only be added or multiplied.
        return _with_other(node, other, left) if editing.is_op(node, "Add", "Mul") else None
    return _with_other(node, one, right)


_APPLY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}


def _two_levels(node: ir.Node, one: Levels, other: Levels) -> Levels | None:
    if node.op_type == "Div" or one.level.shape != other.level.shape:
        return None
    plain = (one.factor == 0) & (other.factor == 0)
    level = np.where(plain, _APPLY[node.op_type](one.level, other.level), np.nan)
    if node.op_type == "Mul":
        level = np.where((one.level == 0) | (other.level == 0), 0.0, level)
    return Levels(level, np.zeros_like(one.factor))


def _with_other(node: ir.Node, one: Levels | None, other: ir.Value) -> Levels | None:
    rank = editing.rank(node.outputs[0])
    own = editing.rank(other)
    if one is None or rank is None or own is None:
        return None
    axis = aligned_axis(other, rank)
    constant = editing.constant(other)
    if constant is not None and constant.size in (1, len(one.level)):
        if constant.size > 1 and (axis is None or constant.shape[axis] != constant.size):
            return None
        number = constant.astype(np.float64).reshape(-1)
        if editing.is_op(node, "Add", "Sub"):
            plain = np.where((one.factor == 0) | (one.level == 0), one.level, np.nan)
            return Levels(_APPLY[node.op_type](plain, number), np.zeros_like(one.factor))
        with np.errstate(divide="ignore", invalid="ignore"):
            level = one.level * number if node.op_type == "Mul" else one.level / number
        return Levels(np.where(np.isfinite(level), level, np.nan), one.factor)
    per_sample = all(
        editing.dimension(other, other_axis) == 1 for other_axis in range(own) if other_axis != 0
    )
    if own == rank and per_sample and editing.is_op(node, "Mul", "Div") and not one.factor.any():
        # One unknown number a sample for all channels; zero stays zero.
        marked = np.full_like(one.factor, _number(node))
        return Levels(one.level, np.where(one.level == 0.0, 0, marked))
    return (
        Levels(np.where(one.level == 0.0, 0.0, np.nan), one.factor)
        if (editing.is_op(node, "Mul") and axis is not None)
        else None
    )


def _number(node: ir.Node) -> int:
    return (id(node) & 0x7FFFFFFFFFFF) | 1
