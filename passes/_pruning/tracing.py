"""Follow the channels of a whole graph, once, in time linear in its nodes and channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing, operators
from lprc.passes._pruning import (
    rules_elementwise,
    rules_linear,
    rules_moving,
    rules_reduce,
    rules_reshape,
)
from lprc.passes._pruning.edits import Entries
from lprc.passes._pruning.shared_weights import tie_shared_weights
from lprc.passes._pruning.trace import Axes, Trace

Rule = Callable[[Trace, ir.Node], None]


def trace_channels(graph: ir.Graph) -> Trace:
    """The channels of the main graph; what leaves it, or goes into a subgraph, must stay."""
    trace = Trace()
    outputs = set(graph.outputs)
    for node in graph:
        rule = _RULES.get(node.op_type) if node.domain in editing.ONNX_DOMAIN else None
        (rule or _unknown)(trace, node)
        for value in node.outputs:
            axes = trace.of(value)
            if not axes:
                continue
            if value in outputs:
                trace.protect(node, "blocked by a graph output", axes.values())
            if any(use.node.graph is not graph for use in value.uses()):
                trace.protect(node, "blocked by a subgraph", axes.values())
    tie_shared_weights(trace)
    return trace


def _unknown(trace: Trace, node: ir.Node) -> None:
    for value in node.inputs:
        trace.protect_value(node, value, f"blocked by {node.op_type}")


def _expand(trace: Trace, node: ir.Node) -> None:
    """Expand of other axes than those with labels."""
    target = editing.constant(editing.input_at(node, 1))
    rank = editing.rank(node.inputs[0])
    axes: Axes = {}
    counts = {}
    for axis, labels in trace.of(node.inputs[0]).items():
        place = axis + (0 if target is None else target.size) - (rank or 0)
        if (
            target is None
            or rank is None
            or target.size < rank
            or target[place] not in (1, labels.size)
            or labels.size == 1
        ):
            trace.protect(node, "blocked by Expand", [labels])
        else:
            axes[place] = labels
            if target[place] != 1:
                counts[place] = labels
    if counts and target is not None:
        trace.edits.append(Entries(node, 1, target.astype(np.int64), counts))
    trace.set(node.outputs[0], axes)


def _tile(trace: Trace, node: ir.Node) -> None:
    """Tile of other axes than those with labels."""
    repeats = editing.constant(editing.input_at(node, 1))
    axes = dict(trace.of(node.inputs[0]))
    for axis in list(axes):
        if repeats is None or repeats[axis] != 1:
            trace.protect(node, "blocked by Tile", [axes.pop(axis)])
    trace.set(node.outputs[0], axes)


_RULES: dict[str, Rule] = {
    **dict.fromkeys(operators.UNARY, rules_elementwise.unary),
    **dict.fromkeys(operators.BROADCAST, rules_elementwise.broadcast),
    **dict.fromkeys(operators.POOLS | operators.GLOBAL_POOLS, rules_elementwise.pool),
    **dict.fromkeys(
        ["BatchNormalization", "InstanceNormalization"], rules_elementwise.per_channel
    ),
    **dict.fromkeys(
        ["Hardmax", "LayerNormalization", "LogSoftmax", "LpNormalization", "RMSNormalization",
         "Softmax"], rules_elementwise.over_axes,
    ),
    **dict.fromkeys(operators.REDUCTIONS, rules_reduce.reduce),
    **dict.fromkeys(["ArgMax", "ArgMin"], rules_reduce.arg),
    **dict.fromkeys(["Conv", "ConvTranspose"], rules_linear.conv),
    **dict.fromkeys(["Reshape", "Flatten"], rules_reshape.reshape),
    **dict.fromkeys(["Squeeze", "Unsqueeze"], rules_reshape.squeeze),
    **dict.fromkeys(["DepthToSpace", "SpaceToDepth"], rules_reshape.depth_to_space),
    **dict.fromkeys(["Resize", "Upsample"], rules_moving.resize),
    "Concat": rules_moving.concat,
    "Expand": _expand,
    "Gather": rules_moving.gather,
    "Gemm": rules_linear.gemm,
    "MatMul": rules_linear.matmul,
    "Pad": rules_moving.pad,
    "Shape": rules_reduce.shape,
    "Slice": rules_moving.slice_,
    "Split": rules_moving.split,
    "Tile": _tile,
    "Transpose": rules_moving.transpose,
}  # fmt: skip
