"""Input channels in an order in which an N:M pattern keeps more of the weights.

Pool and Yu, "Channel Permutations for N:M Sparsity", NeurIPS 2021: swap channels between groups as
long as that keeps more magnitude (times the deviation of what it multiplies, as in Wanda, Sun et
al., ICLR 2024, where there is data). The producers' output channels are permuted to match, so the
dense network computes what it did.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.weight_sparsity import Pattern
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import Arrays
from lprc.core.running.observe import spread
from lprc.passes._channels.coupled_values import BlockedError, ChannelGroup, apply
from lprc.passes._fitting.shadow import observed
from lprc.passes._fitting.unfold import Unfolded

Float = NDArray[np.float64]

SWEEPS = 20
"""Passes over all channels at most."""


def best_order(magnitudes: Float, pattern: Pattern, *, sweeps: int = SWEEPS) -> NDArray[np.int64]:
    """An order of channels, by swaps between groups that each keep more.

    Args:
        magnitudes: float64 [channels, weights]: of what shares a row and a tap with its neighbours.
        pattern: N:M; channels are a multiple of M.
        sweeps: Passes over all channels at most.
    """
    order = np.arange(len(magnitudes)).reshape(-1, pattern.group)
    for _ in range(sweeps):
        moved = [_improve(magnitudes, order, pattern, place) for place in range(order.size)]
        if not any(moved):
            break
    return order.reshape(-1)


def _improve(magnitudes: Float, order: NDArray[np.int64], pattern: Pattern, place: int) -> bool:
    """Swap the channel at `place` with the one that gains most, if any gains."""
    group, member = divmod(place, pattern.group)
    now = _kept(magnitudes[order], pattern)
    best, where = 1e-9 * float(now.sum()), None
    for slot in range(pattern.group):
        mine = np.repeat(order[group][None], len(order), axis=0)
        theirs = order.copy()
        mine[:, member], theirs[:, slot] = order[:, slot], order[group, member]
        gain = _kept(magnitudes[mine], pattern) + _kept(magnitudes[theirs], pattern)
        gain = gain - now - now[group]
        gain[group] = 0.0
        other = int(np.argmax(gain))
        if gain[other] > best:
            best, where = float(gain[other]), (other, slot)
    if where is None:
        return False
    order[group, member], order[where] = order[where], order[group, member]
    return True


FEW_WAYS = 16
"""Ways to choose from a group that are tried all: ten times as fast as a partition for 2:4."""


def _kept(grouped: Float, pattern: Pattern) -> Float:
    """The magnitude that stays in each group, of [groups, members, weights]."""
    if math.comb(pattern.group, pattern.kept) <= FEW_WAYS:
        ways = itertools.combinations(range(pattern.group), pattern.kept)
        sums = (functools.reduce(np.add, (grouped[:, m] for m in way)) for way in ways)
        return np.asarray(functools.reduce(np.maximum, sums).sum(axis=1))
    largest = np.partition(grouped, pattern.group - pattern.kept, axis=1)
    return np.asarray(largest[:, pattern.group - pattern.kept :].sum(axis=(1, 2)))


SAMPLES = 64
"""Samples that are enough for the deviation of a channel."""


def deviations(
    model: ir.Model, values: Sequence[ir.Value], samples: Sequence[Arrays]
) -> dict[ir.Value, Float]:
    """The standard deviation of each channel (axis 1) of `values`: float64 [channels].

    A channel that is constant has none, and a weight that reads it costs nothing to lose, because
    the bias makes up for it.
    """
    sums = {value: np.zeros((3, 1)) for value in values}
    for arrays in observed(model, values, list(spread(samples, SAMPLES))):
        for value, array in zip(values, arrays, strict=True):
            rows = np.moveaxis(array, 1, 0).reshape(array.shape[1], -1).astype(np.float64)
            count = np.full(len(rows), float(rows.shape[1]))
            sums[value] = sums[value] + np.stack([count, rows.sum(1), np.square(rows).sum(1)])
    return {
        value: np.sqrt(np.maximum(square / count - (total / count) ** 2, 0.0))
        for value, (count, total, square) in sums.items()
    }


def permute(
    model: ir.Model,
    layers: Iterable[Unfolded],
    patterns: Mapping[ir.Node, Pattern],
    context: PassContext,
) -> None:
    """Permute the channels of each activation that only Convs of `layers` multiply.

    With calibration data a weight counts times the deviation of the channel that it reads. Where
    several layers read an activation in different patterns, the sparsest decides.
    """
    readers: dict[ir.Value, list[Unfolded]] = {}
    for layer in layers:
        if layer.node.op_type == "Conv" and layer.groups == 1:
            readers.setdefault(layer.input, []).append(layer)
    samples = context.calibration
    spreads = deviations(model, list(readers), samples) if len(samples) else {}
    for value, users in readers.items():
        weights = [editing.constant(user.node.inputs[1]) for user in users]
        channels = [
            np.abs(array.astype(np.float64)).swapaxes(0, 1).reshape(array.shape[1], -1)
            for array in weights
            if array is not None
        ]
        magnitudes = np.concatenate(channels, axis=1)
        if value in spreads:
            magnitudes = magnitudes * spreads[value][:, None]
        pattern = min(
            (patterns[user.node] for user in users),
            key=lambda one: (one.kept / one.group, -one.group),
        )
        order = best_order(magnitudes, pattern)
        if np.array_equal(order, np.arange(len(order))):
            continue
        group = ChannelGroup()
        try:
            group.assign(value, order)
        except BlockedError as error:
            context.skip(users[0].node, f"its input channels stay in order: {error}")
            continue
        if not context.rewrite(users[0].node, "input channels permuted"):
            return
        apply(group, _reordered)


def _reordered(value: ir.Value, array: NDArray[np.float32]) -> ir.Value:
    graph = value.graph
    assert isinstance(graph, ir.Graph)
    return editing.add_initializer(graph, f"{value.name}_permuted", array)
