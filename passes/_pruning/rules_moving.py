"""Operators that put channels elsewhere: Concat, Split, Slice, Gather, Pad, Transpose, Resize."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.passes._pruning.cuts import Cut
from lprc.passes._pruning.edits import Entries, GatherIndices, SliceBounds, SplitSizes
from lprc.passes._pruning.trace import Axes, Trace
from lprc.passes._pruning.union import Ids


def concat(trace: Trace, node: ir.Node) -> None:
    """Labels one behind the other; an input without labels gets some that must stay."""
    if not any(trace.of(value) for value in node.inputs):
        return
    rank = editing.rank(node.outputs[0]) or editing.rank(node.inputs[0])
    axis = int(editing.attribute(node, "axis", 0))
    if axis < 0 and rank is None:
        _block(trace, node, "shapes are unknown")
        return
    axis = axis % rank if rank else axis
    axes: Axes = {}
    parts = [_part(trace, node, index, axis) for index in range(len(node.inputs))]
    labelled_parts = [part for part in parts if part is not None]
    if any(axis in trace.of(value) for value in node.inputs):
        if len(labelled_parts) == len(parts):
            axes[axis] = np.concatenate(labelled_parts)
        else:
            for value in node.inputs:
                if axis in trace.of(value):
                    trace.protect(node, "shapes are unknown", [trace.of(value)[axis]])
    for other in sorted(
        {labelled_axis for value in node.inputs for labelled_axis in trace.of(value)} - {axis}
    ):
        labels = _along(trace, node, other)
        if labels is not None:
            axes[other] = labels
    trace.set(node.outputs[0], axes)


def _part(trace: Trace, node: ir.Node, index: int, axis: int) -> Ids | None:
    value = node.inputs[index]
    labels = trace.of(value).get(axis)
    size = editing.dimension(value, axis)
    if labels is not None or size is None:
        return labels
    labels = trace.fresh(size)
    if editing.constant(value) is not None:
        # For instance the zeros of a padded shortcut: they go with what they are added to.
        trace.edits.append(Cut(node, index, axis, labels))
    else:
        trace.protect(node, "beside channels that can't go", [labels])
    return labels


def _along(trace: Trace, node: ir.Node, axis: int) -> Ids | None:
    """An axis that Concat leaves alone: the same in all of its inputs."""
    first: Ids | None = None
    for value in node.inputs:
        labels = trace.of(value).get(axis)
        if labels is None and editing.constant(value) is not None:
            continue
        if labels is None:
            _block_axis(trace, node, axis)
            return None
        if first is None:
            first = labels
        trace.join(first, labels)
    assert first is not None
    for index, value in enumerate(node.inputs):
        if axis not in trace.of(value):
            trace.edits.append(Cut(node, index, axis, first))
    return first


def split(trace: Trace, node: ir.Node) -> None:
    """The parts of the labels along the axis; all of the others."""
    axes = trace.of(node.inputs[0])
    if not axes:
        return
    rank = editing.rank(node.inputs[0])
    axis = int(editing.attribute(node, "axis", 0))
    if axis < 0 and rank is None:
        _block(trace, node, "shapes are unknown")
        return
    axis = axis % rank if rank else axis
    rest = {other: labels for other, labels in axes.items() if other != axis}
    parts = _split_labels(node, axes[axis]) if axis in axes else None
    if axis in axes and parts is None:
        trace.protect(node, "blocked by Split", [axes[axis]])
    for index, output in enumerate(node.outputs):
        trace.set(output, rest if parts is None else {**rest, axis: parts[index]})
    if parts is not None:
        trace.parts += parts
        trace.edits.append(SplitSizes(node, tuple(parts)))


def _split_labels(node: ir.Node, labels: Ids) -> list[Ids] | None:
    given, count = editing.input_at(node, 1), len(node.outputs)
    if given is not None:
        sizes = editing.constant(given)
        if sizes is None:
            return None
    elif "split" in node.attributes:
        # Written for an operator set in which an input with sizes means nothing.
        return None
    else:
        width = -(-labels.size // count)
        sizes = np.full(count, width)
        sizes[-1] = labels.size - width * (count - 1)
    return [np.asarray(part) for part in np.split(labels, np.cumsum(sizes)[:-1])]


def slice_(trace: Trace, node: ir.Node) -> None:
    """The positions that the Slice takes of each labelled axis."""
    axes = trace.of(node.inputs[0])
    if not axes:
        return
    given = [editing.input_at(node, index) for index in range(1, 5)]
    arrays = [editing.constant(value) for value in given]
    unknown = any(v is not None and a is None for v, a in zip(given, arrays, strict=True))
    rank = editing.rank(node.inputs[0])
    starts, ends, where, steps = arrays
    if starts is None or ends is None or unknown or (rank is None and where is not None):
        _block(trace, node, "blocked by Slice")
        return
    where = np.arange(starts.size) if where is None else where
    steps = np.ones(starts.size, np.int64) if steps is None else steps
    result = dict(axes)
    for axis, start, end, step in zip(where, starts, ends, steps, strict=True):
        axis = int(axis) % rank if rank else int(axis)
        if axis not in axes:
            continue
        labels = axes[axis]
        indices = np.arange(labels.size)[int(start) : int(end) : int(step)]
        if not indices.size:
            trace.protect(node, "blocked by an empty Slice", [labels])
            continue
        if indices.size != labels.size or step != 1:
            result[axis] = labels[indices]
            trace.parts.append(result[axis])
        trace.edits.append(SliceBounds(node, axis, labels, indices))
    trace.set(node.outputs[0], result)


def gather(trace: Trace, node: ir.Node) -> None:
    """A Gather of channels by constant indices, or along another axis."""
    axes = dict(trace.of(node.inputs[0]))
    indices = editing.constant(editing.input_at(node, 1))
    rank = editing.rank(node.inputs[0])
    axis = int(editing.attribute(node, "axis", 0))
    trace.protect_value(node, editing.input_at(node, 1), "blocked by Gather")
    if indices is None or (axis < 0 and rank is None):
        _block(trace, node, "blocked by Gather")
        return
    axis = axis % rank if rank else axis
    labels = axes.pop(axis, None)
    shift = indices.ndim - 1
    result = {
        other + shift if other > axis else other: other_labels
        for other, other_labels in axes.items()
    }
    if labels is not None and indices.ndim == 1 and indices.size:
        positions = np.arange(labels.size)[indices]
        result[axis] = labels[positions]
        trace.parts.append(result[axis])
        trace.edits.append(GatherIndices(node, labels, positions))
    elif labels is not None:
        trace.protect(node, "blocked by Gather", [labels])
    trace.set(node.outputs[0], result)


def pad(trace: Trace, node: ir.Node) -> None:
    """New labels on both sides; how wide they are then depends on how many stay."""
    axes = dict(trace.of(node.inputs[0]))
    if not axes:
        return
    rank, pads = editing.rank(node.inputs[0]), editing.constant(editing.input_at(node, 1))
    chosen = editing.constant(editing.input_at(node, 3))
    if rank is None or pads is None or (editing.input_at(node, 3) is not None and chosen is None):
        _block(trace, node, "blocked by Pad")
        return
    where = list(range(rank)) if chosen is None else [int(axis) % rank for axis in chosen]
    counts: dict[int, Ids] = {}
    for place, axis in enumerate(where):
        before, after = int(pads[place]), int(pads[place + len(where)])
        if axis not in axes or not (before or after):
            continue
        if before < 0 or after < 0 or editing.attribute(node, "mode", "constant") != "constant":
            trace.protect(node, "blocked by Pad", [axes.pop(axis)])
            continue
        ends = trace.fresh(before), trace.fresh(after)
        axes[axis] = np.concatenate([ends[0], axes[axis], ends[1]])
        counts |= {place: ends[0], place + len(where): ends[1]}
    if counts:
        trace.edits.append(Entries(node, 1, pads.astype(np.int64), counts))
    trace.set(node.outputs[0], axes)


def transpose(trace: Trace, node: ir.Node) -> None:
    """Axes in another order."""
    axes, rank = trace.of(node.inputs[0]), editing.rank(node.inputs[0])
    order = editing.attribute(node, "perm")
    if order is None and rank is not None:
        order = list(range(rank))[::-1]
    if order is None:
        _block(trace, node, "shapes are unknown")
        return
    trace.set(node.outputs[0], {to: axes[axis] for to, axis in enumerate(order) if axis in axes})


def resize(trace: Trace, node: ir.Node) -> None:
    """Resize and Upsample of other axes than those with labels."""
    axes, rank = dict(trace.of(node.inputs[0])), editing.rank(node.inputs[0])
    scales = editing.constant(editing.input_at(node, 2 if node.op_type == "Resize" else 1))
    sizes = editing.constant(editing.input_at(node, 3))
    chosen = editing.attribute(node, "axes")
    if not axes:
        return
    if rank is None or (sizes is None and (scales is None or not scales.size)):
        _block(trace, node, f"blocked by {node.op_type}")
        return
    where = list(range(rank)) if chosen is None else [int(axis) % rank for axis in chosen]
    counts: dict[int, Ids] = {}
    for place, axis in enumerate(where):
        if axis not in axes:
            continue
        if sizes is not None and sizes.size:
            kept = sizes[place] == axes[axis].size
            counts[place] = axes[axis]
        else:
            kept = scales is not None and scales[place] == 1
        if not kept or editing.attribute(node, "coordinate_transformation_mode") == (
            "tf_crop_and_resize"
        ):
            trace.protect(node, f"blocked by {node.op_type}", [axes.pop(axis)])
            counts.pop(place, None)
    if counts and sizes is not None:
        trace.edits.append(Entries(node, 3, sizes.astype(np.int64), counts))
    trace.set(node.outputs[0], axes)


def _block(trace: Trace, node: ir.Node, reason: str) -> None:
    for value in node.inputs:
        trace.protect_value(node, value, reason)


def _block_axis(trace: Trace, node: ir.Node, axis: int) -> None:
    for value in node.inputs:
        if axis in trace.of(value):
            trace.protect(node, f"blocked by {node.op_type}", [trace.of(value)[axis]])
