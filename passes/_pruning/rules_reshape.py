"""Operators that merge and split axes, where channels stay whole in one of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.passes._pruning.edits import Entries
from lprc.passes._pruning.trace import Axes, Trace
from lprc.passes._pruning.union import Ids

Dim = int | str | None
Segment = tuple[list[int], list[int]]


def reshape(trace: Trace, node: ir.Node) -> None:
    """Reshape and Flatten: runs of axes that become runs of axes."""
    data, output = node.inputs[0], node.outputs[0]
    axes = trace.of(data)
    if not axes:
        return
    before, after = _dims(data), _dims(output)
    target = editing.constant(editing.input_at(node, 1)) if node.op_type == "Reshape" else None
    if node.op_type == "Reshape" and before is not None and target is not None:
        after = _from_target(target, before, after, editing.attribute(node, "allowzero", 0))
    if before is None or after is None:
        trace.protect_value(node, data, "shapes are unknown")
        return
    new_axes: Axes = {}
    for inner, outer in segments(before, after):
        _segment(trace, node, (inner, outer), before, after, new_axes)
    trace.set(output, new_axes)
    if node.op_type == "Reshape" and new_axes:
        _edit(trace, node, target, after, new_axes)


def _dims(value: ir.Value | None) -> list[Dim] | None:
    if value is None or value.shape is None:
        return None
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]


def _from_target(
    target: Ids, before: list[Dim], inferred_dims: list[Dim] | None, zeros: int
) -> list[Dim]:
    """The dimensions behind a Reshape, better than shape inference knows them."""
    dims: list[Dim] = []
    for place, number in enumerate(target.tolist()):
        inferred = (
            inferred_dims[place]
            if inferred_dims is not None and len(inferred_dims) == target.size
            else None
        )
        if isinstance(inferred, int):
            dims.append(inferred)
        elif number == 0 and not zeros and place < len(before):
            dims.append(before[place])
        else:
            dims.append(int(number) if number >= 0 else inferred)
    missing = [place for place, dim in enumerate(dims) if dim is None]
    left = list(before)
    for dim in dims:
        if dim in left and dim is not None:
            left.remove(dim)
    if len(missing) == 1 and len(left) == 1:
        dims[missing[0]] = left[0]
    elif len(missing) == 1 and all(isinstance(dim, int) for dim in before):
        rest = [dim for dim in dims if isinstance(dim, int)]
        total = int(np.prod([dim for dim in before if isinstance(dim, int)]))
        if len(rest) == len(dims) - 1 and all(rest):
            dims[missing[0]] = total // int(np.prod(rest))
    return dims


def segments(before: list[Dim], after: list[Dim]) -> list[Segment]:
    """The shortest runs of axes with as many elements before as after.

    A run with a dimension that is not known is only matched with an equal one, or is the rest
    between known runs at the front and at the back.
    """
    front: list[Segment] = []
    i = j = 0
    while i < len(before) and j < len(after):
        step = _run(before[i:], after[j:])
        if step is None:
            break
        front.append((list(range(i, i + step[0])), list(range(j, j + step[1]))))
        i, j = i + step[0], j + step[1]
    back: list[Segment] = []
    p, q = len(before), len(after)
    while p > i and q > j:
        step = _run(before[i:p][::-1], after[j:q][::-1])
        if step is None:
            break
        back.append((list(range(p - step[0], p)), list(range(q - step[1], q))))
        p, q = p - step[0], q - step[1]
    middle: list[Segment] = [(list(range(i, p)), list(range(j, q)))] if p > i or q > j else []
    return [*front, *middle, *back[::-1]]


def _run(before: list[Dim], after: list[Dim]) -> tuple[int, int] | None:
    if before[0] is not None and before[0] == after[0]:
        return 1, 1
    i = j = 1
    a, b = before[0], after[0]
    while isinstance(a, int) and isinstance(b, int):
        if a == b:
            return i, j
        if a < b:
            more = before[i] if i < len(before) else None
            a, i = (a * more if isinstance(more, int) else None), i + 1
        else:
            more = after[j] if j < len(after) else None
            b, j = (b * more if isinstance(more, int) else None), j + 1
    return None


def _segment(
    trace: Trace,
    node: ir.Node,
    segment: Segment,
    before: list[Dim],
    after: list[Dim],
    new_axes: Axes,
) -> None:
    inner, outer = segment
    axes = trace.of(node.inputs[0])
    labelled = [axis for axis in inner if axis in axes]
    if not labelled:
        return
    wide = [axis for axis in inner if before[axis] != 1]
    to = [axis for axis in outer if after[axis] != 1]
    if len(labelled) == 1 and wide in ([], labelled) and len(to) == 1:
        new_axes[to[0]] = axes[labelled[0]]
    elif len(labelled) == 1 and wide in ([], labelled) and to:
        sizes = [after[axis] for axis in to]
        blocks = _reshaped(axes[labelled[0]], sizes)
        if blocks is None:
            trace.protect(node, f"blocked by {node.op_type}", [axes[labelled[0]]])
            return
        numbers = list(blocks.shape)
        # The widest axis is the one to prune; of two, the inner one.
        free = max(range(len(to)), key=lambda place: (numbers[place], place))
        new_axes[to[free]] = trace.join_rows(blocks, free)
    elif len(labelled) == 1 and len(to) == 1:
        merged = _merged(axes[labelled[0]], labelled[0], wide, before)
        if merged is None:
            trace.protect(node, f"blocked by {node.op_type}", [axes[labelled[0]]])
            return
        new_axes[to[0]] = merged
    else:
        trace.protect(node, f"blocked by {node.op_type}", [axes[axis] for axis in labelled])


def _reshaped(labels: Ids, sizes: list[Dim]) -> Ids | None:
    numbers = [size for size in sizes if isinstance(size, int)]
    if len(numbers) != len(sizes) or int(np.prod(numbers)) != labels.size:
        return None
    return labels.reshape(numbers)


def _merged(labels: Ids, axis: int, wide: list[int], dims: list[Dim]) -> Ids | None:
    """The labels of the axis that `wide` become."""
    before = [dims[each] for each in wide if each < axis]
    after = [dims[each] for each in wide if each > axis]
    numbers = [dim for dim in (*before, *after) if isinstance(dim, int)]
    if len(numbers) != len(before) + len(after):
        return None
    outer = int(np.prod(numbers[: len(before)]))
    inner = int(np.prod(numbers[len(before) :]))
    return np.asarray(np.tile(np.repeat(labels, inner), outer))


def _edit(
    trace: Trace, node: ir.Node, target: Ids | None, after: list[Dim], new_axes: Axes
) -> None:
    """The Reshape's new target: -1 for the one dimension that is not known."""
    if target is None:
        unknown = [axis for axis, dim in enumerate(after) if not isinstance(dim, int)]
        if len(unknown) > 1:
            trace.protect(node, "the target of Reshape is not constant", new_axes.values())
            return
        target = np.array([dim if isinstance(dim, int) else -1 for dim in after], np.int64)
    counts = {axis: labels for axis, labels in new_axes.items() if target[axis] != -1}
    if counts:
        trace.edits.append(Entries(node, 1, target.astype(np.int64), counts))


def squeeze(trace: Trace, node: ir.Node) -> None:
    """Squeeze and Unsqueeze: axes of size 1 go or come."""
    axes, data, output = trace.of(node.inputs[0]), node.inputs[0], node.outputs[0]
    given, inner, outer = editing.axes_of(node), editing.rank(data), editing.rank(output)
    inserting = node.op_type == "Unsqueeze"
    if (inner is None and given and min(given) < 0) or (not given and axes):
        trace.protect_value(node, data, "shapes are unknown")
        return
    if not axes or given is None:
        return
    rank = (inner or 0) + (len(given) if inserting else 0)
    which = {axis % rank if axis < 0 else axis for axis in given}
    result: Axes = {}
    for axis, labels in axes.items():
        if inserting:
            to = axis
            for place in sorted(which):
                to += place <= to
            result[to] = labels
        elif axis in which:
            trace.protect(node, "blocked by Squeeze", [labels])
        else:
            result[axis - sum(place < axis for place in which)] = labels
    trace.set(output, result)
    assert outer is None or all(axis < outer for axis in result)


def depth_to_space(trace: Trace, node: ir.Node) -> None:
    """Channels become blocks of space: those of one pixel's blocks go together."""
    axes = dict(trace.of(node.inputs[0]))
    labels = axes.pop(1, None)
    trace.protect(node, f"blocked by {node.op_type}", axes.values())
    if labels is None:
        return
    block = int(editing.attribute(node, "blocksize"))
    if node.op_type == "SpaceToDepth":
        trace.set(node.outputs[0], {1: np.tile(labels, block * block)})
        return
    first = editing.attribute(node, "mode", "DCR") == "DCR"
    blocks = labels.reshape((block * block, -1) if first else (-1, block * block))
    trace.set(node.outputs[0], {1: trace.join_rows(blocks, 1 if first else 0)})
