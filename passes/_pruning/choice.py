"""Which groups of channels go: the least important ones, as many as were asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lprc.passes._pruning.channel_groups import ChannelClass, ChannelGroups
from lprc.passes._pruning.union import Ids

Float = NDArray[np.float64]
Kept = NDArray[np.bool_]
Cost = Callable[[Kept], float]


@dataclass(frozen=True)
class Chunk:
    """Groups of one class that go at once, so that the count of those that stay is a multiple.

    Attributes:
        units: The groups.
        score: The mean importance of these (of `whole` multiples: their sum over the multiple), or
            of those that went before if that is more.
    """

    units: Ids
    score: float


def chunks(
    channel_class: ChannelClass, score: Float, *, least: int, multiple: int, whole: bool = False
) -> list[Chunk]:
    """The class cut into pieces, in the order in which they go.

    Args:
        channel_class: The groups of channels to cut into pieces.
        score: float64 [groups].
        least: How many channels must stay.
        multiple: The number of channels that stay must be a multiple of it.
        whole: Whether a started multiple costs as much as a full one: those few that are beyond
            the last full multiple then save as much as a whole one when they go.
    """
    step = multiple // math.gcd(multiple, channel_class.width)
    order = channel_class.units[np.argsort(score[channel_class.units], kind="stable")]
    least = max(1, -(-least // channel_class.width))
    chunks_in_order: list[Chunk] = []
    start, worst = 0, 0.0
    while True:
        size = (len(order) - start) % step or step
        if len(order) - start - size < least:
            return chunks_in_order
        part = order[start : start + size]
        worst = max(worst, float(score[part].sum()) / (step if whole else size))
        chunks_in_order.append(Chunk(part, worst))
        start += size


def by_ratio(
    groups: ChannelGroups,
    classes: Sequence[ChannelClass],
    pieces: list[list[Chunk]],
    ratio: float,
    *,
    local: bool,
) -> Kept:
    """Let a fraction of the groups that can be chosen from go, of each class or of them all."""
    kept = np.ones(groups.count, bool)
    if local:
        for channel_class, class_chunks in zip(classes, pieces, strict=True):
            gone = 0
            for chunk in class_chunks:
                if gone + len(chunk.units) > ratio * len(channel_class.units) + 1e-9:
                    break
                kept[chunk.units] = False
                gone += len(chunk.units)
        return kept
    wanted, gone = ratio * sum(len(channel_class.units) for channel_class in classes), 0
    for chunk in in_order(pieces):
        if gone + len(chunk.units) > wanted + 1e-9:
            break
        kept[chunk.units] = False
        gone += len(chunk.units)
    return kept


def in_order(pieces: list[list[Chunk]]) -> list[Chunk]:
    """All chunks, the least important first."""
    return sorted((chunk for found in pieces for chunk in found), key=lambda chunk: chunk.score)


def by_cost(
    groups: ChannelGroups,
    pieces: list[list[Chunk]],
    cost: Cost,
    target: float,
    *,
    local: bool,
) -> Kept:
    """Let as few groups go as bring the cost down to `target` of what it is.

    Args:
        groups: All groups.
        pieces: Their classes in chunks.
        cost: Of a choice of groups.
        target: A fraction.
        local: Whether each class loses the same share.
    """
    everything = np.ones(groups.count, bool)
    limit = target * cost(everything)
    ordered = _evenly(pieces) if local else in_order(pieces)

    def choice(number: int) -> Kept:
        kept: Kept = everything.copy()
        for chunk in ordered[:number]:
            kept[chunk.units] = False
        return kept

    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if cost(choice(middle)) <= limit:
            high = middle
        else:
            low = middle + 1
    return choice(low)


def _evenly(pieces: list[list[Chunk]]) -> list[Chunk]:
    """The chunks of all classes, in the order of their place in their class."""
    placed = [
        ((place + 1) / (len(found) + 1), chunk)
        for found in pieces
        for place, chunk in enumerate(found)
    ]
    return [chunk for _, chunk in sorted(placed, key=lambda pair: pair[0])]
