"""Operators that keep channels apart: element by element, by broadcasting, or one by one."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.normalization import is_training_normalization
from lprc.passes._pruning.cuts import Cut
from lprc.passes._pruning.trace import Axes, Trace
from lprc.passes._pruning.union import Ids


def unary(trace: Trace, node: ir.Node) -> None:
    """The first output has the axes of the first input."""
    for value in node.inputs[1:]:
        trace.protect_value(node, value, f"blocked by {node.op_type}")
    axes = trace.of(node.inputs[0])
    for output in node.outputs:
        trace.set(output, axes)


def pool(trace: Trace, node: ir.Node) -> None:
    """Channels stay apart; a pool over labelled space, or one that gives indices, blocks."""
    axes = dict(trace.of(node.inputs[0]))
    labels = axes.pop(1, None)
    trace.protect(node, f"blocked by {node.op_type}", axes.values())
    if labels is None:
        return
    if any(extra.uses() or extra.is_graph_output() for extra in node.outputs[1:]):
        # Indices count through all channels.
        trace.protect(node, f"blocked by {node.op_type} with indices", [labels])
    trace.set(node.outputs[0], {1: labels})


def per_channel(trace: Trace, node: ir.Node) -> None:
    """BatchNormalization and InstanceNormalization: constants with an element a channel."""
    axes = dict(trace.of(node.inputs[0]))
    reason = f"blocked by {node.op_type}"
    if node.op_type == "InstanceNormalization":
        trace.protect(node, reason, [labels for axis, labels in axes.items() if axis > 1])
        axes = {axis: labels for axis, labels in axes.items() if axis <= 1}
    training = is_training_normalization(node)
    others = range(1, len(node.inputs))
    if training or any(editing.constant(node.inputs[index]) is None for index in others):
        for value in node.inputs:
            trace.protect_value(node, value, reason)
        return
    if 1 in axes:
        trace.edits += [Cut(node, index, 0, axes[1]) for index in others]
    trace.set(node.outputs[0], axes)


def over_axes(trace: Trace, node: ir.Node) -> None:
    """Softmax, LayerNormalization and their kin: the axes that they look along must stay."""
    axes = dict(trace.of(node.inputs[0]))
    for value in node.inputs[1:]:
        trace.protect_value(node, value, f"blocked by {node.op_type}")
    rank = editing.rank(node.inputs[0])
    first = int(editing.attribute(node, "axis", -1))
    if first < 0 and rank is None:
        blocked = list(axes)
    else:
        first = first % rank if rank else first
        whole = node.op_type in ("LayerNormalization", "RMSNormalization")
        blocked = [axis for axis in axes if axis == first or (whole and axis > first)]
    trace.protect(node, f"blocked by {node.op_type}", [axes.pop(axis) for axis in blocked])
    for output in node.outputs[:1]:
        trace.set(output, axes)


def broadcast(trace: Trace, node: ir.Node) -> None:
    """Join what meets; cut the constants among the operands."""
    values = [value for value in node.inputs if value is not None]
    if not any(trace.of(value) for value in values):
        return
    ranks = [editing.rank(value) for value in values]
    if any(rank is None for rank in ranks):
        for value in values:
            trace.protect_value(node, value, "shapes are unknown")
        return
    rank = max(rank or 0 for rank in ranks)
    axes: Axes = {}
    for axis in range(rank):
        labels = _meet(trace, node, axis, rank)
        if labels is not None:
            axes[axis] = labels
    trace.set(node.outputs[0], axes)


def _meet(trace: Trace, node: ir.Node, axis: int, rank: int) -> Ids | None:
    """The labels of one axis of the result; None if it has none."""
    meeting: list[Ids] = []
    constants: list[tuple[int, int]] = []
    blocked = False
    for index, value in enumerate(node.inputs):
        own = axis - rank + (editing.rank(value) or 0)
        if value is None or own < 0:
            continue
        labels = trace.of(value).get(own)
        if labels is not None:
            meeting.append(labels)
        elif editing.dimension(value, own) == 1:
            continue
        elif editing.constant(value) is not None:
            constants.append((index, own))
        else:
            blocked = True
    if not meeting:
        return None
    size = max(labels.size for labels in meeting)
    same = [labels for labels in meeting if labels.size == size]
    for labels in same[1:]:
        trace.join(same[0], labels)
    # A single channel that meets many is none of them.
    reason = f"blocked by {node.op_type}"
    trace.protect(node, reason, [labels for labels in meeting if labels.size != size])
    sizes = [editing.dimension(node.inputs[index], own) for index, own in constants]
    if blocked or any(extent != size for extent in sizes):
        trace.protect(node, reason, same)
        # A single channel is repeated along an axis of others: the result has theirs.
        return None if size == 1 else same[0]
    trace.edits += [Cut(node, index, own, same[0]) for index, own in constants]
    return same[0]
