"""The time that a graph's groups of channels take, by a model of how kernels compute.

A kernel works on blocks of 16 channels: a first Conv with three input channels takes as long as
one with 16. Pools read each element once for each tap and multiply nothing, so multiply-accumulates
leave them out. What every node takes whatever its size doesn't depend on channels.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import (
    ARITHMETIC,
    GLOBAL_POOLS,
    NORMALIZATIONS,
    POOLS,
    REDUCTIONS,
    SOFTMAX,
)
from lprc.passes._pruning.removal_costs import layer_macs
from lprc.passes._pruning.trace import Layer, Trace
from lprc.passes._pruning.union import Ids

BLOCK = 16
"""Channels that a kernel takes at once: a vector register's floats, or four of its int8 products
of four."""

TAP = 16
"""Multiply-accumulates in the time of one element under one tap of a pool, or of arithmetic on one
element: OpenVINO's int8 counters of LPRNet, 60 µs of pools and means beside 2.3 µs a million."""

_READING = ARITHMETIC | POOLS | GLOBAL_POOLS | REDUCTIONS | NORMALIZATIONS | SOFTMAX
"""Operators that take time for each element: kernels in front take activations along, and what
moves elements alone mostly goes away."""


def time_shares(graph: ir.Graph, trace: Trace, unit: Ids, count: int) -> NDArray[np.float64]:
    """The part of all time that each group of atoms would save by itself: float64 [count].

    Args:
        graph: As it is.
        trace: Of the graph.
        unit: For each atom its group.
        count: The number of groups.
    """
    saved: NDArray[np.float64] = np.zeros(count)
    keep, total = np.ones(trace.count, bool), 0.0
    for layer in trace.layers:
        taken = layer_macs(layer, keep) * _filling(layer)
        total += taken
        for labels in (layer.inputs, layer.outputs):
            if labels is not None:
                np.add.at(saved, unit[labels], taken / labels.size)
    for node in graph:
        taken = _elementwise(node)
        total += taken
        labels = trace.of(editing.input_at(node, 0)).get(1) if taken else None
        if labels is not None:
            np.add.at(saved, unit[labels], taken / labels.size)
    return np.asarray(saved / max(total, 1.0))


def _filling(layer: Layer) -> float:
    """How many times the work is what it would be in full blocks of input channels."""
    shape = editing.static_shape(layer.node.inputs[layer.index])
    inputs = shape[layer.in_axis] if shape else BLOCK
    if layer.groups > 1 or not inputs:
        return 1.0
    return -(-inputs // BLOCK) * BLOCK / inputs


def _elementwise(node: ir.Node) -> float:
    """What a pool, a mean or arithmetic takes, in multiply-accumulates; 0 for the others."""
    if not editing.is_op(node, *_READING):
        return 0.0
    if editing.is_op(node, *POOLS):
        kernel = editing.attribute(node, "kernel_shape") or [1]
        return float(TAP * _elements(node.outputs[0]) * math.prod(kernel))
    return float(TAP * _elements(editing.input_at(node, 0)))


def _elements(value: ir.Value | None) -> int:
    """Dimensions that are not known count as 1."""
    rank = editing.rank(value)
    return math.prod(editing.dimension(value, axis) or 1 for axis in range(rank)) if rank else 0
