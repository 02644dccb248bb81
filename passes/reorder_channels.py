"""Channels in an order in which strided Slices of them are contiguous."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import BROADCAST, UNARY
from lprc.core.graph.weight_sparsity import is_sparse
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.passes._channels.axes import POOLS, channel_slice, make_contiguous
from lprc.passes._channels.coupled_values import BlockedError, ChannelGroup, apply


@dataclass(frozen=True)
class ReorderChannels(Pass):
    """Permute the channels that a Conv makes so that strided Slices of them become contiguous.

    A runtime copies a contiguous Slice of channels, or only points into it; for a strided one it
    often has a slow reference kernel. The producer's output channels are permuted in its weights
    and every consumer's input channels to match (coupled channels as in Torch-Pruning's DepGraph,
    Fang et al., CVPR 2023). Nested and disjoint Slices of one tensor become contiguous together.
    """

    name = "reorder-channels"
    contract = exact
    not_after = reasons(
        {State.GROUPS: "moving input channels breaks up N:M groups, without keep-sparse=true"}
    )

    keep_sparse: bool = option(False, "leave a model alone whose weights are N:M sparse already")

    def refusals(self) -> Mapping[State, str]:
        """None with `keep-sparse`."""
        return {} if self.keep_sparse else self.not_after

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Reorder for each tensor that has a strided channel Slice; see the class."""
        if editing.opset_version(model) < 13:
            return
        if self.keep_sparse and is_sparse(model):
            context.skip(None, "the weights are sparse in groups of input channels")
            return
        done: set[ir.Node] = set()
        for graph in editing.graphs(model):
            for node in list(graph):
                if node in done or node.graph is None or not _is_strided(node):
                    continue
                slices = _alike(node)
                done.update(slices)
                group = _plan(node, slices, context)
                if group is not None and context.rewrite(node, _note(group)):
                    _rewrite(group)
                    done.update(group.slices)


def _is_strided(node: ir.Node) -> bool:
    taken = channel_slice(node) if editing.is_op(node, "Slice") else None
    return (
        taken is not None and len(taken.indices) > 1 and bool((np.diff(taken.indices) != 1).any())
    )


def _alike(node: ir.Node) -> dict[ir.Node, np.ndarray]:
    """All channel Slices of values whose channels correspond one to one to what `node` slices."""
    value = node.inputs[0]
    assert value is not None
    pending, seen, slices = [value], {value}, {}
    count = editing.dimension(value, 1)
    while pending and len(seen) < 2000:
        current = pending.pop()
        neighbours: list[ir.Value | None] = []
        for user in dict.fromkeys(use.node for use in current.uses()):
            taken = channel_slice(user) if editing.is_op(user, "Slice") else None
            if taken is not None and user.inputs[0] is current:
                slices[user] = taken.indices
            elif editing.is_op(user, *UNARY, *POOLS, *BROADCAST, "BatchNormalization"):
                neighbours.append(user.outputs[0])
        producer = current.producer()
        if producer is not None and editing.is_op(
            producer, *UNARY, *POOLS, *BROADCAST, "BatchNormalization"
        ):
            neighbours.extend(
                producer.inputs if editing.is_op(producer, *BROADCAST) else producer.inputs[:1]
            )
        for other in neighbours:
            if other is not None and other not in seen and editing.dimension(other, 1) == count:
                seen.add(other)
                pending.append(other)
    return slices


def _plan(
    node: ir.Node, slices: dict[ir.Node, np.ndarray], context: PassContext
) -> ChannelGroup | None:
    value = node.inputs[0]
    count = editing.dimension(value, 1)
    assert value is not None
    assert count is not None
    order = contiguous_order(count, list(slices.values()))
    if order is None:
        context.skip(node, "Slices of the tensor cross")
        return None
    group = ChannelGroup()
    try:
        group.assign(value, order)
    except BlockedError as error:
        context.skip(node, str(error))
        return None
    return group


def contiguous_order(count: int, wanted: list[np.ndarray]) -> np.ndarray | None:
    """An order of `count` channels in which each of the `wanted` index lists is contiguous.

    None if two of them overlap and neither contains the other. An innermost list keeps its order.
    """
    unique = {frozenset(indices.tolist()): indices for indices in reversed(wanted)}
    order: list[int] = []
    blocks: list[tuple[frozenset[int], list[int]]] = []
    for members, indices in sorted(unique.items(), key=lambda item: len(item[0])):
        inside = [block for block in blocks if block[0] <= members]
        if any(block[0] & members for block in blocks if block not in inside):
            return None
        order = [channel for block in inside for channel in block[1]]
        placed = set(order)
        order += [channel for channel in indices.tolist() if channel not in placed]
        blocks = [block for block in blocks if block not in inside]
        blocks.append((members, order))
    blocks.sort(key=lambda block: min(block[0], default=0))
    order = [channel for block in blocks for channel in block[1]]
    taken = set(order)
    order += [channel for channel in range(count) if channel not in taken]
    return np.array(order, dtype=np.int64)


def _note(group: ChannelGroup) -> str:
    convs = [node for node, index in group.weights if node.op_type == "Conv" and index == 1]
    return f"contiguous; permutes the weights of {len(convs)} Conv"


def _rewrite(group: ChannelGroup) -> None:
    def make_weight(value: ir.Value, array: np.ndarray) -> ir.Value:
        graph = value.graph
        assert isinstance(graph, ir.Graph)
        return editing.add_initializer(graph, f"{value.name}_reordered", array)

    apply(group, make_weight)
    for node, first in group.slices.items():
        make_contiguous(node, first, len(group.slice_orders[node]))
