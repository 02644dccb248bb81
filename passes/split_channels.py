"""A Conv for each contiguous Slice of its channels, so that nothing is left to slice."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import UNARY
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._channels.axes import POOLS, channel_slice


@dataclass(frozen=True)
class SplitChannels(Pass):
    """Split a Conv where a contiguous channel Slice of its output begins and ends.

    The Slice disappears, and runtimes with a blocked channel layout (ONNX Runtime's NCHWc) need
    not leave it to slice. The other users must be pools: each part is pooled by itself, and the
    small results are concatenated. Elementwise operators with one input are split along.
    """

    name = "split-channels"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Split each Conv whose output is sliced; see the class."""
        if editing.opset_version(model) < 13:
            return
        for graph in editing.graphs(model):
            for value in _sliced_values(graph):
                slices = _slices(value)
                if not slices:  # an earlier split moved them, or they slice other axes too
                    continue
                first = next(iter(slices))
                chain, conv = _chain_up(value)
                reason = _why_not(value, conv, slices)
                if reason or conv is None:
                    context.skip(first, reason or "not made by a Conv")
                elif context.rewrite(conv, f"split into {len(_cuts(value, slices)) - 1}"):
                    _split(value, slices, chain, conv)


def _sliced_values(graph: ir.Graph) -> list[ir.Value]:
    found: dict[ir.Value, None] = {}
    for node in graph:
        if editing.is_op(node, "Slice") and node.inputs[0] is not None:
            taken = channel_slice(node)
            if taken is not None and taken.indices.size:
                found[node.inputs[0]] = None
    return list(found)


def _slices(value: ir.Value) -> dict[ir.Node, np.ndarray]:
    """The channel Slices of `value` with the channels that each takes."""
    found = {}
    for use in value.uses():
        taken = channel_slice(use.node) if use.idx == 0 else None
        if taken is not None and taken.only and taken.indices.size:
            found[use.node] = taken.indices
    return found


def _chain_up(value: ir.Value) -> tuple[list[ir.Node], ir.Node | None]:
    """The elementwise nodes between `value` and the Conv that it comes from; and that Conv."""
    chain: list[ir.Node] = []
    node = value.producer()
    while (
        node is not None
        and editing.is_op(node, *UNARY)
        and node.inputs[0] is not None
        and editing.is_private(node.inputs[0])
    ):
        chain.append(node)
        node = node.inputs[0].producer()
    return chain, node if node is not None and editing.is_op(node, "Conv") else None


def _why_not(
    value: ir.Value, conv: ir.Node | None, slices: dict[ir.Node, np.ndarray]
) -> str | None:
    if conv is None:
        return "not made by a Conv"
    if editing.attribute(conv, "group", 1) != 1:
        return "grouped Conv"
    if editing.constant(conv.inputs[1]) is None or (
        editing.input_at(conv, 2) is not None and editing.constant(conv.inputs[2]) is None
    ):
        return "Conv weights are not constant"
    if value.is_graph_output():
        return "sliced tensor is a graph output"
    if any((np.diff(indices) != 1).any() for indices in slices.values()):
        return "Slice is strided"
    graph = conv.graph
    for use in value.uses():
        if use.node.graph is not graph:
            return "used in a subgraph"
        pooled = editing.is_op(use.node, *POOLS) and not _has_indices(use.node)
        if use.node not in slices and not pooled:
            return f"also used by {use.node.op_type}"
    return None


def _has_indices(node: ir.Node) -> bool:
    return any(extra.uses() or extra.is_graph_output() for extra in node.outputs[1:])


def _cuts(value: ir.Value, slices: dict[ir.Node, np.ndarray]) -> list[int]:
    count = editing.dimension(value, 1)
    assert count is not None
    bounds = {0, count}
    for indices in slices.values():
        bounds |= {int(indices[0]), int(indices[-1]) + 1}
    return sorted(bounds)


def _split(
    value: ir.Value, slices: dict[ir.Node, np.ndarray], chain: list[ir.Node], conv: ir.Node
) -> None:
    cuts = _cuts(value, slices)
    parts = {}
    for start, stop in itertools.pairwise(cuts):
        part = _part_of_conv(conv, start, stop)
        for node in reversed(chain):
            part = _like(node, part, before=node)
        parts[start, stop] = part
    for user in list(dict.fromkeys(use.node for use in value.uses())):
        taken = slices.get(user)
        wanted = [
            part
            for (start, stop), part in parts.items()
            if taken is None or (int(taken[0]) <= start and stop <= int(taken[-1]) + 1)
        ]
        if taken is None:
            wanted = [_like(user, part, before=user) for part in wanted]
        result = wanted[0]
        if len(wanted) > 1:
            result = editing.new_node(
                "Concat",
                wanted,
                before=user,
                sources=[user],
                attributes={"axis": 1},
                shape=user.outputs[0].shape,
            )
        editing.replace_value(user.outputs[0], result, before=user)
        editing.remove_dead([user])


def _part_of_conv(conv: ir.Node, start: int, stop: int) -> ir.Value:
    graph = conv.graph
    assert isinstance(graph, ir.Graph)
    inputs: list[ir.Value | None] = [conv.inputs[0]]
    for value in conv.inputs[1:]:
        array = editing.constant(value)
        if value is None or array is None:
            inputs.append(value)
        else:
            name = f"{value.name}_{start}_{stop}"
            inputs.append(editing.add_initializer(graph, name, array[start:stop]))
    return editing.new_node(
        "Conv",
        inputs,
        before=conv,
        sources=[conv],
        attributes=conv.attributes,
        name=conv.name,
        shape=_with_channels(conv.outputs[0], stop - start),
    )


def _like(node: ir.Node, source: ir.Value, *, before: ir.Node) -> ir.Value:
    """The operator of `node` applied to `source`."""
    like = editing.new_node(
        node.op_type,
        [source, *node.inputs[1:]],
        before=before,
        sources=[node],
        attributes=node.attributes,
        name=node.name,
        shape=_with_channels(node.outputs[0], editing.dimension(source, 1)),
    )
    like.type = node.outputs[0].type
    return like


def _with_channels(like: ir.Value, count: int | None) -> list[int | ir.SymbolicDim | None] | None:
    if like.shape is None:
        return None
    return [like.shape[0], count, *list(like.shape)[2:]]
