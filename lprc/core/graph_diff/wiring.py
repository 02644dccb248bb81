"""Inputs of nodes, and outputs of graphs, that come from elsewhere than before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from lprc.core.graph.operators import COMMUTATIVE
from lprc.core.graph_diff.interface import output_pairs
from lprc.core.graph_diff.matching import Matching
from lprc.core.graph_diff.nodes import reference
from lprc.core.graph_diff.outline import BodyOutline, NodeOutline, ValueOutline
from lprc.core.graph_diff.result import Rewiring, Source


def rewirings(
    title: str, old: BodyOutline, new: BodyOutline, matching: Matching
) -> Iterator[Rewiring]:
    """What is wired otherwise in two bodies that correspond."""
    for node in old.nodes:
        other = matching.nodes.get(node)
        if other is not None:
            yield from _node(title, node, other, matching)
    for place, value, counterpart in output_pairs(title, old, new):
        both = value is not None and counterpart is not None
        if both and not matching.same(value, counterpart):
            yield Rewiring(None, title, place, _source(value), _source(counterpart))


def _node(
    title: str, node: NodeOutline, other: NodeOutline, matching: Matching
) -> Iterator[Rewiring]:
    pairs = list(zip_longest(node.inputs, other.inputs))
    if all(matching.same(*pair) for pair in pairs):
        return
    if node.operator in COMMUTATIVE and len(pairs) == 2:
        swapped = zip_longest(node.inputs, reversed(other.inputs))
        if all(matching.same(*pair) for pair in swapped):
            return
    for slot, (value, counterpart) in enumerate(pairs):
        if not matching.same(value, counterpart):
            user = reference(title, other)
            yield Rewiring(user, title, slot, _source(value), _source(counterpart))


def _source(value: ValueOutline | None) -> Source:
    if value is None:
        return Source("", "nothing")
    if value.producer is not None:
        return Source(value.name, value.producer.operator)
    return Source(value.name, "input" if value.is_input else "initialiser")
