"""Positively homogeneous operators, and where the channels behind them are in front of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.reduction import reduced_axes
from lprc.passes._channels.axes import slice_bounds

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """A value on the way, and where the reader's channels are in it.

    Attributes:
        value: The value.
        behind: How many of its axes lie behind that of the channels.
        channels: How many channels it has.
        index: int64 [the reader's channels]: which of the value's each is; -1 for none of them.
    """

    value: ir.Value
    behind: int
    channels: int
    index: NDArray[np.int64]

    def factor(self, of_reader: Float) -> Float:
        """The factors of the value's channels, from those of the reader's; 1 where none reads."""
        factor = np.ones(self.channels)
        known = self.index >= 0
        factor[self.index[known]] = of_reader[known]
        return factor

    def largest(self, of_reader: Float) -> Float:
        """The largest of what belongs to each of the value's channels; 0 where none reads."""
        largest = np.zeros(self.channels)
        known = self.index >= 0
        np.maximum.at(largest, self.index[known], of_reader[known])
        return largest

    @property
    def axis(self) -> int | None:
        """The axis of the channels; None where the rank is unknown."""
        rank = editing.rank(self.value)
        return None if rank is None else rank - 1 - self.behind


def before(node: ir.Node, step: Step) -> Step | str:
    """The channels in the first input of the operator that makes `step`.

    Returns:
        A reason where scaling the output is not the same as scaling the input.
    """
    move = _MOVES.get(node.op_type) if editing.is_op(node, *_MOVES) else None
    if move is None:
        return f"{node.op_type} is not homogeneous"
    if node.inputs[0] is None:
        return f"{node.op_type} has no input"
    return move(node, replace(step, value=node.inputs[0]))


def _same(_node: ir.Node, step: Step) -> Step | str:
    return step


def _dropout(node: ir.Node, step: Step) -> Step | str:
    training = editing.input_at(node, 2)
    if training is not None and editing.scalar(training) in (None, True):
        return "Dropout is training"
    return step


def _pool(node: ir.Node, step: Step) -> Step | str:
    if step.axis != 1:
        return f"{node.op_type} pools the channels, or shapes are unknown"
    if any(extra.uses() or extra.is_graph_output() for extra in node.outputs[1:]):
        return f"{node.op_type} has another output in use"
    return step


def _reduce(node: ir.Node, step: Step) -> Step | str:
    rank = editing.rank(step.value)
    axes = None if rank is None else reduced_axes(node, rank)
    if rank is None or axes is None:
        return f"axes of {node.op_type} are unknown"
    if editing.attribute(node, "keepdims", 1):
        axis = rank - 1 - step.behind
    else:
        kept = [kept_axis for kept_axis in range(rank) if kept_axis not in axes]
        axis = kept[len(kept) - 1 - step.behind]
    if axis in axes:
        return f"{node.op_type} reduces the channels"
    return replace(step, behind=rank - 1 - axis)


def _transpose(node: ir.Node, step: Step) -> Step | str:
    rank = editing.rank(step.value)
    if rank is None:
        return "shapes before Transpose are unknown"
    order = editing.attribute(node, "perm") or range(rank)[::-1]
    return replace(step, behind=rank - 1 - order[rank - 1 - step.behind])


def _reshape(node: ir.Node, step: Step) -> Step | str:
    """An axis whose elements, with all behind it, are those of the channels and all behind them."""
    before, after = _dimensions(step.value), _dimensions(node.outputs[0])
    unknown = f"shapes around {node.op_type} are unknown"
    if before is None or after is None or None in (tail := after[len(after) - step.behind :]):
        return unknown
    tail_size = math.prod(size for size in tail if size is not None)
    wanted, size = step.channels * tail_size, 1
    if not wanted:
        return f"{node.op_type} of nothing"
    for axis in reversed(range(len(before))):
        own = before[axis]
        if own is None:
            return unknown
        inner, size = size, size * own
        if size == wanted and inner % tail_size == 0:
            index = np.where(step.index < 0, -1, step.index // (inner // tail_size))
            return Step(step.value, len(before) - 1 - axis, own, index)
        if size >= wanted:
            break
    return f"{node.op_type} takes channels apart"


def _dimensions(value: ir.Value) -> list[int | None] | None:
    if value.shape is None:
        return None
    return [size if isinstance(size, int) else None for size in value.shape]


def _slice(node: ir.Node, step: Step) -> Step | str:
    bounds, rank = slice_bounds(node), editing.rank(step.value)
    if bounds is None or rank is None:
        return "shapes or bounds of Slice are unknown"
    axis = rank - 1 - step.behind
    if axis not in bounds:
        return step
    count = editing.dimension(step.value, axis)
    if count is None:
        return "shapes or bounds of Slice are unknown"
    taken = np.arange(count)[bounds[axis]]
    index = np.where(step.index < 0, -1, taken[step.index])
    return Step(step.value, step.behind, count, index)


def _pad(node: ir.Node, step: Step) -> Step | str:
    pads, rank = editing.constant(editing.input_at(node, 1)), editing.rank(step.value)
    given = editing.input_at(node, 3)
    named = editing.constant(given)
    if pads is None or rank is None or (given is not None and named is None):
        return "pads or shapes of Pad are unknown"
    filler = editing.input_at(node, 2)
    if editing.attribute(node, "mode", "constant") == "constant" and filler is not None:
        value = editing.scalar(filler)
        if value is None or value != 0:
            return "Pad by other than zero"
    axes = [int(axis) % rank for axis in named] if named is not None else list(range(rank))
    axis = rank - 1 - step.behind
    if axis in axes:
        where = axes.index(axis)
        if pads[where] or pads[len(axes) + where]:
            return "Pad of the channels"
    return step


def _resize(node: ir.Node, step: Step) -> Step | str:
    axis, scales = step.axis, editing.input_at(node, 2)
    size = editing.dimension(step.value, -1 - step.behind)
    if axis is None or size is None or editing.dimension(node.outputs[0], axis) != size:
        return "Resize of the channels, or shapes are unknown"
    # A scale of nearly 1 can leave the size and resample all the same.
    if scales is not None and (scales.shape is None or editing.static_shape(scales) != (0,)):
        factors, axes = editing.constant(scales), editing.attribute(node, "axes")
        if factors is None or (axes is None and factors[axis] != 1) or axes is not None:
            return "Resize of the channels, or shapes are unknown"
    if editing.attribute(node, "coordinate_transformation_mode", "half_pixel") == (
        "tf_crop_and_resize"
    ):
        return "Resize may fill in a constant"
    return step


_MOVES: dict[str, Callable[[ir.Node, Step], Step | str]] = {
    "Abs": _same,
    "AveragePool": _pool,
    "Dropout": _dropout,
    "Flatten": _reshape,
    "GlobalAveragePool": _pool,
    "GlobalMaxPool": _pool,
    "Identity": _same,
    "LeakyRelu": _same,
    "MaxPool": _pool,
    "Neg": _same,
    "PRelu": _same,
    "Pad": _pad,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "ReduceMin": _reduce,
    "ReduceSum": _reduce,
    "Relu": _same,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
"""Operators that are positively homogeneous, ``f(k x) = k f(x)`` for ``k > 0``, channel by channel.

Clip is not; it would be if its bounds were scaled too, but ONNX's has no bounds a channel.
"""
