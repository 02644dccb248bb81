"""Pairs of nodes and values of two models."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from lprc.core.graph_diff.outline import BodyOutline, NodeOutline, ValueOutline

T = TypeVar("T", NodeOutline, ValueOutline)


class Matching:
    """Pairs of nodes and values, of a whole model with all its bodies.

    Attributes:
        nodes: From the nodes before to those after.
        back: From the nodes after to those before.
        values: From inputs and initialisers before to those after.
        bodies: Pairs of bodies, with what to call them: empty for the main graph.
    """

    def __init__(self) -> None:
        self.nodes: dict[NodeOutline, NodeOutline] = {}
        self.back: dict[NodeOutline, NodeOutline] = {}
        self.values: dict[ValueOutline, ValueOutline] = {}
        self.values_back: dict[ValueOutline, ValueOutline] = {}
        self.bodies: list[tuple[str, BodyOutline, BodyOutline]] = []
        self._numbers: dict[NodeOutline, int] = {}

    def pair(self, before: NodeOutline, after: NodeOutline) -> None:
        """Match two nodes."""
        self.nodes[before], self.back[after] = after, before
        self._numbers[before] = self._numbers[after] = len(self.nodes)

    def pair_values(self, before: ValueOutline, after: ValueOutline) -> None:
        """Match two inputs or two initialisers."""
        self.values[before], self.values_back[after] = after, before

    def number(self, node: NodeOutline) -> int | None:
        """What a matched node and its match have in common; None for others."""
        return self._numbers.get(node)

    def is_free(self, node: NodeOutline) -> bool:
        """Whether a node has no match yet."""
        return node not in self._numbers

    def same(self, before: ValueOutline | None, after: ValueOutline | None) -> bool:
        """Whether two values come from matched places."""
        if before is None or after is None:
            return before is after
        if before.producer is not None:
            return (
                after.producer is not None
                and self.nodes.get(before.producer) is after.producer
                and before.index == after.index
            )
        return self.values.get(before) is after


def unique_pairs(
    left: Iterable[T], right: Iterable[T], key: Callable[[T], Hashable]
) -> Iterator[tuple[T, T]]:
    """The pairs whose key is theirs alone on both sides; a key of None counts for nothing."""
    theirs = _by_key(right, key)
    for found, mine in _by_key(left, key).items():
        other = theirs.get(found)
        if len(mine) == 1 and other is not None and len(other) == 1:
            yield mine[0], other[0]


def _by_key(things: Iterable[T], key: Callable[[T], Hashable]) -> dict[Hashable, list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for thing in things:
        found = key(thing)
        if found is not None:
            groups.setdefault(found, []).append(thing)
    return groups
