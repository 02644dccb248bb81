"""The costs of a graph with some of its channels gone: multiply-accumulates and bytes."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.costs.macs import applications
from lprc.core.graph import editing
from lprc.passes._pruning.cuts import ConstantEdit
from lprc.passes._pruning.edits import Keep
from lprc.passes._pruning.trace import Layer, Trace
from lprc.passes._pruning.union import Ids


def multiply_accumulates(trace: Trace, keep: Keep) -> int:
    """Of all linear operators; dimensions that are not known count as 1."""
    return sum(layer_macs(layer, keep) for layer in trace.layers)


def layer_macs(layer: Layer, keep: Keep) -> int:
    """Of one linear operator."""
    weight = layer.node.inputs[layer.index]
    shape = editing.static_shape(weight)
    assert shape is not None
    inputs = shape[layer.in_axis]
    outputs = shape[layer.out_axis]
    if layer.node.op_type == "Conv":
        inputs *= layer.groups
    elif layer.node.op_type == "ConvTranspose":
        outputs *= layer.groups
    if layer.inputs is not None:
        inputs = int(keep[layer.inputs].sum())
    if layer.outputs is not None:
        outputs = int(keep[layer.outputs].sum())
    groups = layer.groups
    if layer.whole_groups and layer.outputs is not None:
        groups = max(1, int(keep[layer.outputs].sum()) * layer.groups // layer.outputs.size)
    kernel = math.prod(shape[2:]) if layer.node.op_type in ("Conv", "ConvTranspose") else 1
    return applications(layer.node, layer.index, _counts) * kernel * inputs * outputs // groups


def _counts(value: ir.Value | None) -> list[int]:
    return [editing.dimension(value, axis) or 1 for axis in range(editing.rank(value) or 0)]


def weight_bytes(graph: ir.Graph, trace: Trace, keep: Keep) -> int:
    """Of all initialisers of the main graph."""
    share: dict[ir.Value, list[float]] = {}
    seen: set[tuple[ir.Value, bytes]] = set()
    for edit in trace.edits:
        if isinstance(edit, ConstantEdit):
            value = edit.node.inputs[edit.index]
            assert value is not None
            # What several nodes read alike is cut once.
            if (value, edit.key(keep)) not in seen:
                seen.add((value, edit.key(keep)))
                share.setdefault(value, []).append(edit.share(keep))
    total = 0.0
    for value in graph.initializers.values():
        if value.const_value is not None:
            total += value.const_value.nbytes * float(np.prod(share.get(value, [])))
    return round(total)


def mac_shares(trace: Trace, unit: Ids, count: int) -> NDArray[np.float64]:
    """The part of all costs that each group of atoms would save by itself: float64 [count].

    Args:
        trace: Of the graph.
        unit: For each atom its group.
        count: The number of groups.
    """
    saved: NDArray[np.float64] = np.zeros(count)
    total, keep = 0, np.ones(trace.count, bool)
    for layer in trace.layers:
        macs = layer_macs(layer, keep)
        total += macs
        for labels in (layer.inputs, layer.outputs):
            if labels is not None:
                np.add.at(saved, unit[labels], macs / labels.size)
    return np.asarray(saved / max(total, 1))


def byte_shares(graph: ir.Graph, trace: Trace, unit: Ids, count: int) -> NDArray[np.float64]:
    """As `mac_shares`, of `weight_bytes`; constants that nodes share count for each of them."""
    saved: NDArray[np.float64] = np.zeros(count)
    for edit in trace.edits:
        if isinstance(edit, ConstantEdit):
            value = edit.node.inputs[edit.index]
            nbytes = 0 if value is None or value.const_value is None else value.const_value.nbytes
            for labels in edit.all_labels():
                np.add.at(saved, unit[labels], nbytes / labels.size)
    return np.asarray(saved / max(weight_bytes(graph, trace, np.ones(trace.count, bool)), 1))
