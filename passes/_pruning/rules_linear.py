"""Operators that mix channels by a weight: each reads some and makes others."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.passes._pruning.cuts import Cut, CutBlocks
from lprc.passes._pruning.edits import GroupCount
from lprc.passes._pruning.trace import Axes, Layer, Trace
from lprc.passes._pruning.union import Ids

NOT_CONSTANT = "the weight is not constant"
BIAS_VARIES = "the bias is not constant"


def conv(trace: Trace, node: ir.Node) -> None:
    """Conv and ConvTranspose, grouped and depthwise too."""
    data = editing.input_at(node, 0)
    weight = editing.constant(editing.input_at(node, 1))
    axes = dict(trace.of(data))
    inputs = axes.pop(1, None)
    trace.protect(node, f"blocked by {node.op_type}", axes.values())
    if weight is None or weight.ndim < 3:
        trace.protect(node, NOT_CONSTANT, [] if inputs is None else [inputs])
        return
    transposed = node.op_type == "ConvTranspose"
    groups = int(editing.attribute(node, "group", 1))
    out_axis = 1 if transposed else 0
    channels = weight.shape[out_axis] * (groups if transposed else 1)
    outputs = trace.source(node, channels)
    bias = editing.input_at(node, 2)
    if bias is not None and editing.constant(bias) is None:
        trace.protect(node, BIAS_VARIES, [outputs])
    elif bias is not None:
        trace.edits.append(Cut(node, 2, 0, outputs))
    width = weight.shape[0] // groups if transposed else weight.shape[1]
    whole = _groups(trace, node, inputs, outputs, groups, width)
    if whole is None:
        rows, columns = (inputs, outputs) if transposed else (outputs, inputs)
        trace.edits.append(CutBlocks(node, 1, rows, columns, groups))
    elif inputs is not None:
        trace.edits.append(Cut(node, 1, 0, inputs if transposed else outputs))
        trace.edits.append(GroupCount(node, whole))
    trace.layers.append(
        Layer(node, 1, 1 - out_axis, out_axis, inputs, outputs, groups, whole is not None)
    )
    trace.set(node.outputs[0], {1: outputs})


def _groups(
    trace: Trace, node: ir.Node, inputs: Ids | None, outputs: Ids, groups: int, width: int
) -> Ids | None:
    """Join what a grouped Conv couples; one atom for each group if groups go as a whole.

    If there are more groups than channels in one, whole groups go (a depthwise Conv is the plain
    case of that); else every group must keep as many channels as the others, see `balance`.
    """
    if groups == 1:
        return None
    if groups < width:
        trace.balanced.append((node, outputs.reshape(groups, -1)))
        if inputs is not None:
            trace.balanced.append((node, inputs.reshape(groups, -1)))
        return None
    first = trace.join_rows(outputs.reshape(groups, -1), 0)
    if inputs is None:
        trace.protect(node, "its groups read channels that can't go", [outputs])
        return first
    trace.join(trace.join_rows(inputs.reshape(groups, -1), 0), first)
    return first


def gemm(trace: Trace, node: ir.Node) -> None:
    """Gemm with a constant B, and a C that is a bias."""
    data, weight = node.inputs[0], editing.constant(editing.input_at(node, 1))
    axes = trace.of(data)
    turned = bool(editing.attribute(node, "transA", 0))
    bias_value = editing.input_at(node, 2)
    bias = editing.constant(bias_value)
    trace.protect_value(node, bias_value, BIAS_VARIES)
    if weight is None:
        for value in node.inputs:
            trace.protect_value(node, value, NOT_CONSTANT)
        return
    in_axis = 1 if editing.attribute(node, "transB", 0) else 0
    inputs, rows = axes.get(0 if turned else 1), axes.get(1 if turned else 0)
    per_row = bias_value is not None if bias is None else bias.ndim == 2 and bias.shape[0] > 1
    if rows is not None and per_row:
        trace.protect(node, "blocked by Gemm", [rows])
        rows = None
    size = weight.shape[1 - in_axis]
    outputs = trace.source(node, size)
    trace.edits.append(Cut(node, 1, 1 - in_axis, outputs))
    if bias_value is not None and bias is None:
        trace.protect(node, BIAS_VARIES, [outputs])
    if bias is not None and bias.ndim and bias.shape[-1] == size and size > 1:
        trace.edits.append(Cut(node, 2, bias.ndim - 1, outputs))
    if inputs is not None:
        trace.edits.append(Cut(node, 1, in_axis, inputs))
    trace.layers.append(Layer(node, 1, in_axis, 1 - in_axis, inputs, outputs))
    trace.set(node.outputs[0], {1: outputs} if rows is None else {0: rows, 1: outputs})


def matmul(trace: Trace, node: ir.Node) -> None:
    """MatMul by a matrix from either side, or of two activations."""
    left, right = node.inputs[0], node.inputs[1]
    ranks = [editing.rank(value) for value in (left, right)]
    if None in ranks or 1 in ranks:
        for value in (left, right):
            trace.protect_value(node, value, "blocked by MatMul")
        return
    a, b = int(ranks[0] or 0), int(ranks[1] or 0)
    rank = max(a, b)
    matrices = [editing.constant(value) for value in (left, right)]
    if matrices[1] is not None and matrices[0] is None and b == 2:
        _by_matrix(trace, node, left, 1, matrices[1].shape, a)
    elif matrices[0] is not None and matrices[1] is None and a == 2:
        _by_matrix(trace, node, right, 0, matrices[0].shape, b)
    else:
        _of_activations(trace, node, a, b, rank)


def _by_matrix(
    trace: Trace,
    node: ir.Node,
    data: ir.Value | None,
    index: int,
    shape: tuple[int, ...],
    rank: int,
) -> None:
    """`data` times the constant at input `index`, or the other way round."""
    summed, out_axis = (rank - 1, rank - 1) if index == 1 else (rank - 2, rank - 2)
    in_axis = 0 if index == 1 else 1
    axes: Axes = dict(trace.of(data))
    inputs = axes.pop(summed, None)
    outputs = trace.source(node, shape[1 - in_axis])
    trace.edits.append(Cut(node, index, 1 - in_axis, outputs))
    if inputs is not None:
        trace.edits.append(Cut(node, index, in_axis, inputs))
    trace.layers.append(Layer(node, index, in_axis, 1 - in_axis, inputs, outputs))
    trace.set(node.outputs[0], axes | {out_axis: outputs})


def _of_activations(trace: Trace, node: ir.Node, a: int, b: int, rank: int) -> None:
    left, right = dict(trace.of(node.inputs[0])), dict(trace.of(node.inputs[1]))
    summed = left.pop(a - 1, None), right.pop(b - 2, None)
    if summed[0] is not None and summed[1] is not None:
        trace.join(summed[0], summed[1])
    else:
        trace.protect(
            node, "blocked by MatMul", [labels for labels in summed if labels is not None]
        )
    axes: Axes = {}
    for operand, own, last in ((left, a, a - 2), (right, b, b - 1)):
        if last in operand:
            axes[rank - 2 if operand is left else rank - 1] = operand.pop(last)
        for axis, labels in operand.items():
            outer = axis + rank - own
            if outer in axes:
                trace.join(axes[outer], labels)
            elif a == b and editing.dimension(node.outputs[0], outer) == labels.size:
                axes[outer] = labels
                other = node.inputs[1 if operand is left else 0]
                if editing.dimension(other, axis) != 1 and axis not in trace.of(other):
                    trace.protect(node, "blocked by MatMul", [labels])
            else:
                trace.protect(node, "blocked by MatMul", [labels])
    trace.set(node.outputs[0], axes)
