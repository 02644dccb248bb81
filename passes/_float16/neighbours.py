"""Why a node must stay in float32 because of the nodes around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.quantization.qdq import is_bias
from lprc.passes._float16.operands import is_square
from lprc.passes._float16.operators import CARRIES, GAINS, MOVES, REDUCES
from lprc.passes._float16.ports import is_float
from lprc.passes._float16.rules import NO_RANGE, SMALL_OPERAND


def add_dequantised(nodes: Sequence[ir.Node], reasons: dict[ir.Node, str]) -> None:
    """Keep a DequantizeLinear and the linear operators that read it on one side.

    A Cast between the two would keep a runtime from computing in integers. One behind a constant
    matters only where the operator's other input is dequantised too, and a bias not at all.

    Args:
        nodes: Of one graph.
        reasons: Why nodes stay in float32; nodes are added.
    """
    candidates = set(nodes)
    pending = [node for node in nodes if node in reasons]
    while pending:
        node = pending.pop()
        if editing.is_op(node, "DequantizeLinear"):
            is_weight = editing.constant(node.inputs[0]) is not None
            neighbours = [
                use.node
                for use in node.outputs[0].uses()
                if not is_weight or (_reads_integers(use.node) and not is_bias(use.node, use.idx))
            ]
            reason = "reads a dequantised float32"
        elif node.op_type in GAINS and _reads_integers(node):
            neighbours = [maker for index, maker in _dequantised(node) if not is_bias(node, index)]
            reason = "a float32 operator reads it"
        else:
            continue
        for other in neighbours:
            if other in candidates and other not in reasons:
                reasons[other] = reason
                pending.append(other)


def _reads_integers(node: ir.Node) -> bool:
    """Whether a runtime may compute `node` in integers: it reads a dequantised activation."""
    return any(editing.constant(maker.inputs[0]) is None for _, maker in _dequantised(node))


def _dequantised(node: ir.Node) -> Iterator[tuple[int, ir.Node]]:
    for index, value in enumerate(node.inputs):
        producer = None if value is None else value.producer()
        if producer is not None and editing.is_op(producer, "DequantizeLinear"):
            yield index, producer


def add_statistics(nodes: Sequence[ir.Node], reasons: dict[ir.Node, str]) -> None:
    """Give a reason to every node around a reduction that has one.

    Such reductions make statistics that normalise activations, as LPRNet's mean(f²). The nodes
    are the squares that a reduction sums, what makes another statistic of its result (epsilons,
    roots), and the first operator that applies the result to an activation.

    Args:
        nodes: Of one graph, in topological order.
        reasons: Why nodes stay in float32; nodes are added.
    """
    statistics: set[ir.Value] = set()
    for node in nodes:
        if node in reasons and editing.is_op(node, *REDUCES):
            statistics.update(node.outputs)
            square = node.inputs[0].producer() if node.inputs[0] is not None else None
            if square is not None and square.graph is node.graph and is_square(square):
                _give(square, "square for a statistic", reasons)
        elif any(value in statistics for value in node.inputs if value is not None):
            _follow(node, statistics, reasons)


def _follow(node: ir.Node, statistics: set[ir.Value], reasons: dict[ir.Node, str]) -> None:
    if not editing.is_op(node, *CARRIES):
        return
    if all(
        value in statistics or not is_float(value) or editing.constant(value) is not None
        for value in node.inputs
    ):
        statistics.update(node.outputs)
        if node.op_type not in MOVES:
            _give(node, "computes a statistic", reasons)
    elif node.op_type not in MOVES:
        _give(node, "applies a statistic", reasons)


def _give(node: ir.Node, reason: str, reasons: dict[ir.Node, str]) -> None:
    if reasons.get(node) in (None, NO_RANGE, SMALL_OPERAND):
        reasons[node] = reason
