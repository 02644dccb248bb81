"""Reductions: over space each channel by itself, over channels a sum in which some are missing."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.passes._pruning.edits import Share
from lprc.passes._pruning.trace import Axes, Trace

SUMS = frozenset(["ReduceL1", "ReduceL2", "ReduceSum", "ReduceSumSquare"])
"""Reductions that do not change when channels that are zero are left out."""


def reduce(trace: Trace, node: ir.Node) -> None:
    """A reduction over labelled axes counts what is gone as zero; if it can't, it blocks."""
    data = node.inputs[0]
    axes = trace.of(data)
    rank, given = editing.rank(data), editing.axes_of(node)
    if not axes:
        return
    if given is None or (rank is None and (not given or min(given) < 0)):
        trace.protect_value(node, data, f"blocked by {node.op_type}")
        return
    if given:
        gone = {axis % rank if rank else axis for axis in given}
    elif editing.attribute(node, "noop_with_empty_axes", 0):
        gone = set()
    else:
        gone = set(range(rank or 0))
    kept = editing.attribute(node, "keepdims", 1)
    result: Axes = {}
    for axis, labels in axes.items():
        if axis not in gone:
            result[axis if kept else axis - sum(removed < axis for removed in gone)] = labels
        elif node.op_type == "ReduceMean":
            trace.edits.append(Share(node, labels))
        elif node.op_type not in SUMS:
            trace.protect(node, f"blocked by {node.op_type}", [labels])
    trace.set(node.outputs[0], result)


def arg(trace: Trace, node: ir.Node) -> None:
    """ArgMax and ArgMin count channels; along other axes they keep them apart."""
    axes, rank = trace.of(node.inputs[0]), editing.rank(node.inputs[0])
    axis = int(editing.attribute(node, "axis", 0))
    if axis < 0 and rank is None:
        trace.protect_value(node, node.inputs[0], "shapes are unknown")
        return
    axis = axis % rank if rank else axis
    kept = editing.attribute(node, "keepdims", 1)
    result: Axes = {}
    for labelled_axis, labels in axes.items():
        if labelled_axis == axis:
            trace.protect(node, f"blocked by {node.op_type}", [labels])
        else:
            result[labelled_axis if kept or labelled_axis < axis else labelled_axis - 1] = labels
    trace.set(node.outputs[0], result)


def shape(trace: Trace, node: ir.Node) -> None:
    """A Shape that says how many channels there are keeps them; one of other axes does not."""
    axes, rank = trace.of(node.inputs[0]), editing.rank(node.inputs[0])
    for axis, labels in axes.items():
        if rank is None or _reads(node, axis, rank):
            trace.protect(node, "blocked by Shape", [labels])


def _reads(node: ir.Node, axis: int, rank: int) -> bool:
    """Whether anything takes element `axis` of the Shape."""
    start = int(editing.attribute(node, "start", 0))
    every = list(range(rank))[start : editing.attribute(node, "end", rank)]
    output = node.outputs[0]
    if axis not in every or output.is_graph_output():
        return axis in every
    for use in output.uses():
        if not editing.is_op(use.node, "Gather") or use.idx != 0:
            return True
        picked = editing.constant(use.node.inputs[1])
        if picked is None or any(every[int(place)] == axis for place in picked.reshape(-1)):
            return True
    return False
