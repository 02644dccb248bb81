"""The values whose channels must be chosen or permuted together, found from one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.normalization import is_training_normalization
from lprc.core.graph.operators import BROADCAST, QDQ, REDUCTIONS, UNARY
from lprc.core.graph.reduction import reduced_axes
from lprc.passes._channels.axes import POOLS, aligned_axis, channel_slice, slice_bounds

_LIMIT = 2000
"""Values in one group; it bounds the time for graphs in which everything is coupled."""


class BlockedError(Exception):
    """A use or a producer that can neither absorb nor pass on a choice of channels."""


@dataclass
class ChannelGroup:
    """Orders of coupled values' channels, and what must change in the nodes for them to hold.

    An order p of a value means ``new[:, i] = old[:, p[i]]``; channels that it leaves out go.

    Attributes:
        of: The order of each value in the group.
        weights: For a node's constant input, by node and index: which axes to reorder, and how.
        slices: Channel Slices of values in the group: the first channel that each takes now.
        slice_orders: The orders that the outputs of these Slices must have.
        reductions: Nodes that reduce over the channels of a value in the group.
    """

    of: dict[ir.Value, np.ndarray] = field(default_factory=dict)
    weights: dict[tuple[ir.Node, int], dict[int, np.ndarray]] = field(default_factory=dict)
    slices: dict[ir.Node, int] = field(default_factory=dict)
    slice_orders: dict[ir.Node, np.ndarray] = field(default_factory=dict)
    reductions: dict[ir.Node, None] = field(default_factory=dict)
    _pending: list[ir.Value] = field(default_factory=list)
    _concats: dict[ir.Node, None] = field(default_factory=dict)

    def assign(self, value: ir.Value, order: np.ndarray) -> None:
        """Give `value` that order, and then do everything that this entails.

        Raises:
            BlockedError: Something can't take part; the message names it.
        """
        self._assign(value, order)
        while self._pending or self._concats:
            if self._pending:
                current = self._pending.pop()
                self._visit_producer(current)
                for use in current.uses():
                    self._visit_use(current, use.node, use.idx)
            else:
                # A Concat waits until the permutations of all its inputs are known.
                self._join(self._concats.popitem()[0])
        self._check()

    def _assign(self, value: ir.Value | None, order: np.ndarray) -> None:
        assert value is not None
        assigned_order = self.of.get(value)
        if assigned_order is not None:
            if not np.array_equal(assigned_order, order):
                raise BlockedError(f"conflicting orders at {_name(value)}")
            return
        count = editing.dimension(value, 1)
        if count is None or len(order) > count:
            raise BlockedError("channel count is unknown")
        if value.is_graph_output():
            raise BlockedError("blocked by a graph output")
        if value.producer() is None:
            raise BlockedError("blocked by a graph input")
        if len(self.of) >= _LIMIT:
            raise BlockedError("too many coupled values")
        self.of[value] = order
        self._pending.append(value)

    def _visit_producer(self, value: ir.Value) -> None:
        node = value.producer()
        assert node is not None
        if value is not node.outputs[0]:
            raise BlockedError(f"blocked by {node.op_type}")
        order = self.of[value]
        if editing.is_op(node, "Conv"):
            count = editing.dimension(value, 1) or 0
            self._permute_weight(node, 1, 0, order, count)
            if editing.input_at(node, 2) is not None:
                self._permute_weight(node, 2, 0, order, count)
            if _is_depthwise(node):
                self._assign(node.inputs[0], order)
            elif editing.attribute(node, "group", 1) != 1:
                raise BlockedError("blocked by grouped Conv")
        elif editing.is_op(node, "Concat"):
            self._split(node, order)
        elif editing.is_op(node, "Slice") and channel_slice(node) is not None:
            if node not in self.slices:
                raise BlockedError("blocked by Slice")
        elif not self._pass_through(node, order, value):
            raise BlockedError(f"blocked by {node.op_type}")

    def _visit_use(self, value: ir.Value, node: ir.Node, index: int) -> None:
        producer = value.producer()
        assert producer is not None
        order = self.of[value]
        if node.graph is not producer.graph:
            raise BlockedError("blocked by a subgraph")
        if editing.is_op(node, "Shape") and len(order) == editing.dimension(value, 1):
            return
        if editing.is_op(node, "Conv") and index == 0:
            if _is_depthwise(node):
                self._assign(node.outputs[0], order)
            elif editing.attribute(node, "group", 1) == 1:
                self._permute_weight(node, 1, 1, order, editing.dimension(value, 1) or 0)
            else:
                raise BlockedError("blocked by grouped Conv")
        elif editing.is_op(node, "Concat") and editing.attribute(node, "axis") in (
            1,
            1 - (editing.rank(value) or 0),
        ):
            self._concats[node] = None
        elif editing.is_op(node, "Slice") and index == 0:
            self._visit_slice(node, order)
        elif not self._absorbs(node, index, value) and not self._pass_through(node, order, value):
            raise BlockedError(f"blocked by {node.op_type}")

    def _visit_slice(self, node: ir.Node, order: np.ndarray) -> None:
        bounds = slice_bounds(node)
        if bounds is None:
            raise BlockedError("blocked by Slice")
        if 1 not in bounds:
            self._assign(node.outputs[0], order)
            return
        taken = channel_slice(node)
        assert taken is not None
        if taken.indices.size == 0:
            raise BlockedError("blocked by an empty Slice")
        position = {channel: index for index, channel in enumerate(order.tolist())}
        kept = [channel for channel in taken.indices.tolist() if channel in position]
        if not kept:
            raise BlockedError("blocked by Slice")
        positions = np.array([position[channel] for channel in kept])
        first = int(positions.min())
        if int(positions.max()) - first + 1 != len(positions):
            raise BlockedError("blocked by Slice")
        self.slices[node] = first
        of_output = {channel: index for index, channel in enumerate(taken.indices.tolist())}
        chosen = order[first : first + len(kept)].tolist()
        inner = self.slice_orders[node] = np.array([of_output[channel] for channel in chosen])
        if not _is_identity(inner, len(taken.indices)):
            self._assign(node.outputs[0], inner)

    def _absorbs(self, node: ir.Node, index: int, value: ir.Value) -> bool:
        """Whether the order of channels makes no difference behind `node`."""
        rank = editing.rank(value)
        if rank is None or index != 0 or not editing.is_op(node, *REDUCTIONS):
            return False
        absorbs = 1 in (reduced_axes(node, rank) or ())
        if absorbs:
            self.reductions[node] = None
        return absorbs

    def _pass_through(self, node: ir.Node, order: np.ndarray, value: ir.Value) -> bool:
        """Reorder all that `node` reads and writes; False if it does not keep channels apart."""
        rank, count = editing.rank(value), editing.dimension(value, 1)
        if rank is None or count is None or not _keeps_channels(node, rank, count):
            return False
        others = range(1, len(node.inputs))
        if editing.is_op(node, *BROADCAST):
            others = range(len(node.inputs))
        else:
            self._assign(node.inputs[0], order)
        for index in others:
            self._pass_input(node, index, order, rank, count)
        self._assign(node.outputs[0], order)
        return True

    def _pass_input(
        self, node: ir.Node, index: int, order: np.ndarray, rank: int, count: int
    ) -> None:
        other = node.inputs[index]
        if other is None:
            return
        if editing.is_op(node, "BatchNormalization"):
            self._permute_weight(node, index, 0, order, count)
            return
        if not editing.is_op(node, *BROADCAST):
            return
        if editing.rank(other) is None:
            raise BlockedError("shapes are unknown")
        axis = aligned_axis(other, rank)
        size = None if axis is None else editing.dimension(other, axis)
        if axis is None or size == 1:
            return
        if size != count:
            raise BlockedError("shapes are unknown")
        if editing.constant(other) is not None:
            self._permute_weight(node, index, axis, order, count)
        elif axis == 1 and editing.rank(other) == rank:
            self._assign(other, order)
        else:
            raise BlockedError(f"blocked by {node.op_type}")

    def _permute_weight(
        self, node: ir.Node, index: int, axis: int, order: np.ndarray, count: int
    ) -> None:
        array = editing.constant(editing.input_at(node, index))
        if array is None or array.ndim <= axis or array.shape[axis] != count:
            raise BlockedError(f"blocked by {node.op_type} without constant weights")
        known = self.weights.setdefault((node, index), {}).setdefault(axis, order)
        if not np.array_equal(known, order):
            raise BlockedError(f"conflicting orders at {node.name}")

    def _join(self, node: ir.Node) -> None:
        order = self._joined_order(node)
        if not _is_identity(order, editing.dimension(node.outputs[0], 1)):
            self._assign(node.outputs[0], order)

    def _joined_order(self, node: ir.Node) -> np.ndarray:
        parts, offset = [], 0
        for value in node.inputs:
            count = editing.dimension(value, 1)
            if value is None or count is None:
                raise BlockedError("channel count is unknown")
            parts.append(offset + self.of.get(value, np.arange(count)))
            offset += count
        return np.concatenate(parts)

    def _split(self, node: ir.Node, order: np.ndarray) -> None:
        if editing.attribute(node, "axis") not in (1, 1 - (editing.rank(node.outputs[0]) or 0)):
            raise BlockedError("blocked by Concat")
        offset, parts = 0, []
        for value in node.inputs:
            count = editing.dimension(value, 1)
            if value is None or count is None:
                raise BlockedError("channel count is unknown")
            here = order[(order >= offset) & (order < offset + count)]
            parts.append((value, here - offset, count))
            offset += count
            if here.size == 0:
                raise BlockedError("blocked by Concat")
        starts = np.cumsum([0] + [count for _, _, count in parts[:-1]])
        whole = [part + start for (_, part, _), start in zip(parts, starts, strict=True)]
        if not np.array_equal(np.concatenate(whole), order):
            raise BlockedError("blocked by Concat")
        for value, part, count in parts:
            if not _is_identity(part, count) or value in self.of:
                self._assign(value, part)

    def _check(self) -> None:
        """A value permuted after its Concat or Slice was visited must agree with it."""
        concats = (use.node for value in self.of for use in value.uses())
        wanted = {
            node: self._joined_order(node) for node in concats if editing.is_op(node, "Concat")
        }
        for node, order in (wanted | self.slice_orders).items():
            count = editing.dimension(node.outputs[0], 1) or 0
            assigned_order = self.of.get(node.outputs[0], np.arange(count))
            if not np.array_equal(assigned_order, order):
                raise BlockedError(f"blocked by {node.op_type}")


def apply(group: ChannelGroup, make_weight: Callable[[ir.Value, np.ndarray], ir.Value]) -> None:
    """Reorder the constants of all nodes in `group`; `make_weight` registers a reordered one.

    Nodes that share a constant and reorder it alike go on sharing one. Shapes follow.
    """
    reordered_weights: dict[tuple[ir.Value, tuple[tuple[int, bytes], ...]], ir.Value] = {}
    for (node, index), axes in group.weights.items():
        value = node.inputs[index]
        array = editing.constant(value)
        assert value is not None
        assert array is not None
        key = (value, tuple(sorted((axis, order.tobytes()) for axis, order in axes.items())))
        if key not in reordered_weights:
            for axis, order in axes.items():
                array = np.take(array, order, axis=axis)
            reordered_weights[key] = make_weight(value, array)
        node.replace_input_with(index, reordered_weights[key])
        reordered = editing.constant(reordered_weights[key])
        assert reordered is not None
        if value.producer() is not None:
            editing.remove_dead([value.producer()])
        else:
            editing.remove_dead_initializer(value)
        if _is_depthwise_before(node, reordered):
            node.attributes["group"] = ir.AttrInt64("group", int(reordered.shape[0]))
    for value, order in group.of.items():
        if value.shape is not None and value.shape[1] != len(order):
            value.shape = ir.Shape([*value.shape[:1], len(order), *value.shape[2:]])


def _is_depthwise_before(node: ir.Node, weight: np.ndarray) -> bool:
    """Whether `node` is a depthwise Conv whose channels have become fewer."""
    group = editing.attribute(node, "group", 1) if editing.is_op(node, "Conv") else 1
    return group > 1 and weight.ndim > 2 and group != weight.shape[0]


def _keeps_channels(node: ir.Node, rank: int, count: int) -> bool:
    output = node.outputs[0]
    if len(node.outputs) > 1 and any(
        extra.uses() or extra.is_graph_output() for extra in node.outputs[1:]
    ):
        return False
    if editing.dimension(output, 1) != count:
        return False
    if editing.is_op(node, *REDUCTIONS):
        return _reduces_behind_channels(node)
    if editing.rank(output) != rank:
        return False
    if editing.is_op(node, "Clip", *QDQ):
        return all(editing.rank(value) == 0 for value in node.inputs[1:] if value is not None)
    if editing.is_op(node, *UNARY, *POOLS, *BROADCAST):
        return True
    if editing.is_op(node, "BatchNormalization"):
        return not is_training_normalization(node)
    if editing.is_op(node, "Slice"):
        bounds = slice_bounds(node)
        return bounds is not None and 1 not in bounds
    return False


def _reduces_behind_channels(node: ir.Node) -> bool:
    rank = editing.rank(node.inputs[0])
    axes = None if rank is None else reduced_axes(node, rank)
    if axes is None or 1 in axes:
        return False
    return 0 not in axes or bool(editing.attribute(node, "keepdims", 1))


def _is_depthwise(node: ir.Node) -> bool:
    group = editing.attribute(node, "group", 1)
    return (
        group > 1
        and group == editing.dimension(node.inputs[1], 0)
        and editing.dimension(node.inputs[1], 1) == 1
    )


def _is_identity(order: np.ndarray, count: int | None) -> bool:
    return count is not None and bool(np.array_equal(order, np.arange(count)))


def _name(value: ir.Value) -> str:
    producer = value.producer()
    return producer.name or producer.op_type if producer is not None else str(value.name)
