"""How consumers make up for constant channels that are removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.passes._channels.coupled_values import ChannelGroup
from lprc.passes._channels.levels import Levels, in_order, levels_of, pads


class CannotAbsorbError(Exception):
    """A consumer that can't do without the channels; the message says why."""


@dataclass
class Absorption:
    """Which channels of a Conv's output stay, and which are merged into one.

    Attributes:
        kept: bool [channels].
        merged: The constant channels that become one; None if there are none such.
        representative: The one of `merged` that stays.
        level: The bias that it gets.
        biases: The addition to each consumer's bias.
        columns: For each consumer: the input channel that gets new weights, and these.
        factors: For each mean over channels: by what its result is to be multiplied.
    """

    kept: NDArray[np.bool_]
    merged: NDArray[np.int64] | None = None
    representative: int = -1
    level: float = 0.0
    biases: dict[ir.Node, NDArray[np.float64]] = field(default_factory=dict)
    columns: dict[ir.Node, tuple[int, NDArray[np.float64]]] = field(default_factory=dict)
    factors: dict[ir.Node, float] = field(default_factory=dict)


def plan_absorption(
    node: ir.Node, group: ChannelGroup, absorption: Absorption, levels: dict[ir.Value, Levels]
) -> None:
    """Fill in `absorption.biases`, `columns` and `factors`.

    Raises:
        CannotAbsorbError: A consumer can't do without the channels.
    """
    absorption.biases, absorption.columns, absorption.factors = {}, {}, {}
    new = _with_representative(node, group, absorption, levels)
    for consumer, index in group.weights:
        value = consumer.inputs[0]
        if index == 1 and editing.is_op(consumer, "Conv") and value in group.of:
            axes = group.weights[consumer, index]
            if 1 in axes:
                assert value is not None
                old = levels.get(value)
                if old is not None:
                    _absorb_in_conv(consumer, value, group, absorption, old, new[value])
    for reduction in group.reductions:
        value = reduction.inputs[0]
        assert value is not None
        _absorb_in_mean(reduction, value, group, absorption, levels.get(value), new)


def absorb(node: ir.Node, group: ChannelGroup, absorption: Absorption) -> None:
    """Carry out what was planned, before channels are removed."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    if absorption.merged is not None:
        bias = editing.constant(node.inputs[2])
        weight = editing.constant(node.inputs[1])
        assert bias is not None
        assert weight is not None
        bias, weight = bias.copy(), weight.copy()
        bias[absorption.representative] = absorption.level
        weight[absorption.representative] = 0
        _replace(node, 1, weight)
        _replace(node, 2, bias)
    for consumer, (channel, column) in absorption.columns.items():
        weight = editing.constant(consumer.inputs[1])
        assert weight is not None
        weight = weight.copy()
        weight[:, channel] = column
        _replace(consumer, 1, weight)
    for consumer, added in absorption.biases.items():
        _add_bias(consumer, added, group.of.get(consumer.outputs[0]))
    for reduction, factor in absorption.factors.items():
        _scale(reduction, factor)


def _with_representative(
    node: ir.Node, group: ChannelGroup, absorption: Absorption, levels: dict[ir.Value, Levels]
) -> dict[ir.Value, Levels]:
    """The levels of the group's values once the representative has its new bias."""
    if absorption.merged is None:
        return levels
    new = dict(levels)
    output = node.outputs[0]
    own, bias = levels[output], editing.constant(node.inputs[2])
    assert bias is not None
    _fitting(np.array(absorption.level), bias.dtype)
    level = own.level.copy()
    level[absorption.representative] = absorption.level
    new[output] = Levels(level, own.factor)
    producers = [value.producer() for value in group.of if value is not output]
    for coupled in in_order(producer for producer in producers if producer is not None):
        value = coupled.outputs[0]
        before = levels.get(value)
        if before is None:
            continue
        after = new[value] = levels_of(coupled, new) or Levels.unknown(len(before.level))
        if (np.isnan(after.level) & ~np.isnan(before.level)).any():
            raise CannotAbsorbError("merged channels would not be constant")
    return new


def _gone(value: ir.Value, group: ChannelGroup, known: Levels) -> NDArray[np.bool_]:
    gone = np.ones(len(known.level), bool)
    gone[group.of[value]] = False
    return gone


def _absorb_in_conv(
    consumer: ir.Node,
    value: ir.Value,
    group: ChannelGroup,
    absorption: Absorption,
    old: Levels,
    new: Levels,
) -> None:
    gone = _gone(value, group, old) & (old.level != 0.0)
    weight = editing.constant(consumer.inputs[1])
    assert weight is not None
    # Channels that changed their level but stay are representatives.
    changed = np.flatnonzero(~gone & ~np.isnan(old.level) & (new.level != old.level))
    if not gone.any() and not len(changed):
        return
    wide = weight.astype(np.float64)
    if len(changed):
        channel = int(changed[0])
        alike = gone & (old.factor == old.factor[channel])
        if len(changed) > 1 or not np.array_equal(alike, gone) or new.level[channel] == 0:
            raise CannotAbsorbError("constant channels meet in one consumer")
        alike[channel] = True
        ratios = old.level[alike] / new.level[channel]
        column = np.tensordot(wide[:, alike], ratios, axes=([1], [0]))
        absorption.columns[consumer] = (channel, _fitting(column, weight.dtype))
        return
    if old.factor[gone].any():
        raise CannotAbsorbError("a constant is scaled by an activation")
    if pads(consumer):
        raise CannotAbsorbError("a Conv that reads the constant pads")
    bias_value = editing.input_at(consumer, 2)
    if bias_value is not None and editing.constant(bias_value) is None:
        raise CannotAbsorbError("a bias is not constant")
    sums = wide.reshape(*wide.shape[:2], -1).sum(axis=2)
    absorption.biases[consumer] = _fitting(sums[:, gone] @ old.level[gone], weight.dtype)


def _fitting(array: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        if not np.isfinite(array.astype(dtype)).all():
            raise CannotAbsorbError("a weight would overflow")
    return array


def _absorb_in_mean(
    reduction: ir.Node,
    value: ir.Value,
    group: ChannelGroup,
    absorption: Absorption,
    old: Levels | None,
    new: dict[ir.Value, Levels],
) -> None:
    if not editing.is_op(reduction, "ReduceMean", "ReduceSum"):
        raise CannotAbsorbError(f"blocked by {reduction.op_type}")
    if old is None:
        return
    gone = _gone(value, group, old)
    changed = gone | (new[value].level != old.level)
    moved = changed & ~np.isnan(old.level) & (old.level != 0)
    before = old.level[gone].sum() + np.nansum(old.level[~gone])
    after = np.nansum(new[value].level[~gone])
    if old.factor[moved].any() or not np.isclose(before, after, 1e-12, 0):
        raise CannotAbsorbError("a statistic over channels reads the constant")
    if editing.is_op(reduction, "ReduceMean") and gone.any():
        if reduction.outputs[0].dtype is None:
            raise CannotAbsorbError("a type is unknown")
        absorption.factors[reduction] = float((~gone).sum() / len(gone))


def _replace(node: ir.Node, index: int, array: NDArray[np.float32]) -> None:
    graph = node.graph
    old = node.inputs[index]
    assert isinstance(graph, ir.Graph)
    assert old is not None
    new = editing.add_initializer(graph, str(old.name), array)
    node.replace_input_with(index, new)
    editing.remove_dead([old.producer()])
    editing.remove_dead_initializer(old)
    if old.producer() is None:
        editing.inherit_name(new, old)


def _add_bias(node: ir.Node, added: NDArray[np.float64], order: NDArray[np.int64] | None) -> None:
    """Add to a Conv's bias; one that is new has only those output channels that stay: `order`."""
    graph = node.graph
    weight = node.inputs[1]
    assert isinstance(graph, ir.Graph)
    assert weight is not None
    assert weight.dtype is not None
    dtype = weight.dtype.numpy()
    bias = editing.constant(editing.input_at(node, 2))
    if bias is not None:
        _replace(node, 2, (bias.astype(np.float64) + added).astype(dtype))
        return
    if order is not None:
        added = added[order]
    new_bias = editing.add_initializer(graph, f"{node.name}_bias", added.astype(dtype))
    if len(node.inputs) < 3:
        node.resize_inputs(3)
    node.replace_input_with(2, new_bias)


def _scale(node: ir.Node, factor: float) -> None:
    """Multiply what `node` puts out, for everything that reads it."""
    output, graph = node.outputs[0], node.graph
    assert isinstance(graph, ir.Graph)
    assert output.dtype is not None
    number = editing.add_initializer(
        graph, f"{node.name}_share", np.array(factor, output.dtype.numpy())
    )
    # A copy, because only what stands in front of `node` stands in front of all its users.
    copy = editing.new_node(
        node.op_type,
        node.inputs,
        before=node,
        sources=[node],
        attributes={name: editing.attribute(node, name) for name in node.attributes},
        dtype=output.dtype,
        shape=output.shape,
    )
    scaled = editing.new_node(
        "Mul", [copy, number], before=node, sources=[node], dtype=output.dtype, shape=output.shape
    )
    editing.replace_value(output, scaled, before=node)
    editing.remove_dead([node])
