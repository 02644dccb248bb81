"""Which layers can be made sparse, in which groups of weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import grid_of
from lprc.core.graph.operators import LINEAR
from lprc.core.graph.provenance import origins
from lprc.core.graph.weight_sparsity import Pattern, Weight, why_not
from lprc.core.passing.pass_base import PassContext
from lprc.passes._fitting.bias import bias_of
from lprc.passes._fitting.unfold import Unfolded, unfolded

LARGEST = 4096
"""The longest rows that are made sparse by their second moment, which then has 128 MiB."""


@dataclass(frozen=True)
class Limits:
    """The layers that a user lets be made sparse.

    Attributes:
        pattern: N:M; None for any zeros.
        exclude: Nodes that stay, by name or source name.
        min_elements: Smaller weights stay.
        longest: Rows that are longer stay; None for no limit.
    """

    pattern: Pattern | None
    exclude: tuple[str, ...]
    min_elements: int
    longest: int | None


def sparse_layers(model: ir.Model, limits: Limits, context: PassContext) -> list[Unfolded]:
    """The layers of the main graph that can be made sparse, in order; the others are skipped."""
    for graph in editing.subgraphs(model.graph):
        for node in graph:
            if editing.is_op(node, *LINEAR):
                context.skip(node, "in a subgraph")
    return list(_layers(model, limits, context))


def _layers(model: ir.Model, limits: Limits, context: PassContext) -> Iterator[Unfolded]:
    for node in model.graph:
        layer = unfolded(node)
        if isinstance(layer, str):
            context.skip(node, layer)
        elif layer is not None:
            reason = _why_not(layer, limits)
            if reason is None:
                yield layer
            else:
                context.skip(node, reason)


def _why_not(layer: Unfolded, limits: Limits) -> str | None:
    node, value = layer.node, layer.weight
    if {node.name, *origins(node)} & set(limits.exclude):
        return "excluded"
    if len(value.uses()) > 1 or value.is_graph_output():
        return "the weight has other uses"
    if grid_of(value) is not None:
        return "the weight is on a grid already"
    if bias_of(node, layer.order.shape[0] * layer.order.shape[1]) is None:
        return "the bias is not one constant a channel"
    if layer.array.size < limits.min_elements:
        return "the weight is small"
    if limits.longest is not None and layer.size > limits.longest:
        return f"its rows are too long for a second moment (more than {limits.longest})"
    return None if limits.pattern is None else _why_not_pattern(layer, limits.pattern)


def _why_not_pattern(layer: Unfolded, pattern: Pattern) -> str | None:
    reason = why_not(layer.node, layer.array.shape[layer.in_axis], pattern)
    if reason is not None:
        return reason
    if Weight(layer.node, layer.array, layer.in_axis).has_pattern(pattern.kept, pattern.group):
        return "it has the pattern already"
    return None


def groups_of(layer: Unfolded, members: int) -> NDArray[np.int64]:
    """The columns of a row that lie in one group: neighbouring input channels, at one tap.

    Returns:
        int64 [groups, members]; each column is in one.
    """
    inputs = layer.array.shape[layer.in_axis]
    taps = layer.size // inputs
    columns = np.arange(layer.size, dtype=np.int64).reshape(inputs // members, members, taps)
    return np.ascontiguousarray(columns.transpose(0, 2, 1)).reshape(-1, members)
