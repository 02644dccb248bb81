"""How operators treat the channels (axis 1) of the tensors that they read and write."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing, operators

POOLS = operators.POOLS | operators.GLOBAL_POOLS


@dataclass(frozen=True)
class ChannelSlice:
    """The elements that a constant Slice takes along one axis."""

    indices: np.ndarray
    only: bool
    """Whether it slices no other axis."""


def channel_slice(node: ir.Node) -> ChannelSlice | None:
    """Which channels a Slice takes; None if it takes all, or its bounds or shapes are unknown."""
    bounds = slice_bounds(node)
    count = editing.dimension(node.inputs[0], 1)
    if bounds is None or count is None or 1 not in bounds:
        return None
    return ChannelSlice(np.arange(count)[bounds[1]], only=len(bounds) == 1)


def slice_bounds(node: ir.Node) -> dict[int, slice] | None:
    """The start, end and step of a Slice by axis from 0; None where they can vary."""
    if not editing.is_op(node, "Slice") or len(node.inputs) < 3:
        return None
    given = [editing.input_at(node, index) for index in range(1, 5)]
    arrays = [editing.constant(value) for value in given]
    if any(value is not None and array is None for value, array in zip(given, arrays, strict=True)):
        return None
    lists = [None if array is None else array.reshape(-1) for array in arrays]
    starts, ends, axes, steps = lists
    if starts is None or ends is None or len({a.size for a in lists if a is not None}) > 1:
        return None
    axes = np.arange(starts.size) if axes is None else axes
    steps = np.ones(starts.size, np.int64) if steps is None else steps
    rank = editing.rank(node.inputs[0])
    if rank is None and (axes < 0).any():
        return None
    columns = zip(axes.tolist(), starts.tolist(), ends.tolist(), steps.tolist(), strict=True)
    return {
        axis % rank if rank is not None else axis: slice(start, end, step)
        for axis, start, end, step in columns
    }


def aligned_axis(value: ir.Value, rank: int, axis: int = 1) -> int | None:
    """Where `axis` of a tensor of rank `rank` is in `value`, which is broadcast against it.

    None if `value` has no such axis; `value` must have a known rank.
    """
    own = editing.rank(value)
    assert own is not None
    return axis - (rank - own) if axis >= rank - own else None


def make_contiguous(node: ir.Node, first: int, count: int) -> ir.Value:
    """Let a Slice take the channels from `first` on, its other axes as before; its new output."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    source = node.inputs[0]
    rank = editing.rank(source)
    assert rank is not None
    old = [editing.constant(editing.input_at(node, index)) for index in range(1, 5)]
    assert old[0] is not None
    size = old[0].size
    starts, ends = (np.array(array, dtype=np.int64) for array in old[:2])
    axes = np.arange(size) if old[2] is None else np.array(old[2], dtype=np.int64) % rank
    steps = np.ones(size, np.int64) if old[3] is None else np.array(old[3], dtype=np.int64)
    here = axes == 1
    starts[here], ends[here], steps[here] = first, first + count, 1
    inputs = [source]
    named = [("starts", starts), ("ends", ends), ("axes", axes)]
    if (steps != 1).any():
        named.append(("steps", steps))
    inputs += [editing.add_initializer(graph, f"{node.name}_{word}", a) for word, a in named]
    sliced = editing.new_node(
        "Slice", inputs, before=node, sources=[node], name=node.name, shape=node.outputs[0].shape
    )
    editing.replace_value(node.outputs[0], sliced, before=node)
    editing.remove_dead([node])
    return sliced
