"""Matching of whole models: inputs, nodes, initialisers, and the bodies inside."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from lprc.core.graph_diff.matching import Matching, unique_pairs
from lprc.core.graph_diff.node_matching import match_nodes
from lprc.core.graph_diff.outline import BodyOutline, ModelOutline, ValueOutline


def match(before: ModelOutline, after: ModelOutline) -> Matching:
    """Match two models: their graphs, what is inside, and their functions by name."""
    matching = Matching()
    pending = [("", before.graph, after.graph)]
    pending += [
        (f"function {name}", before.functions[name], after.functions[name])
        for name in sorted(before.functions.keys() & after.functions.keys())
    ]
    while pending:
        title, old, new = pending.pop(0)
        matching.bodies.append((title, old, new))
        _match_inputs(old, new, matching, by_name=not title)
        match_nodes(old, new, matching)
        _match_initializers(old, new, matching)
        pending += _inner(title, old, matching)
    return matching


def _inner(
    title: str, body: BodyOutline, matching: Matching
) -> Iterator[tuple[str, BodyOutline, BodyOutline]]:
    """Pairs of subgraphs of matched nodes."""
    for node in body.nodes:
        other = matching.nodes.get(node)
        if other is None:
            continue
        for name in sorted(node.bodies.keys() & other.bodies.keys()):
            place = f"{title}/{other.label}" if title else other.label
            yield f"{place}.{name}", node.bodies[name], other.bodies[name]


def _match_inputs(old: BodyOutline, new: BodyOutline, matching: Matching, *, by_name: bool) -> None:
    """Inputs by name, in the main graph, which is fed by name; then by position."""
    if by_name:
        names = {value.name: value for value in new.inputs}
        for value in old.inputs:
            if value.name in names:
                matching.pair_values(value, names[value.name])
    left = [value for value in old.inputs if value not in matching.values]
    right = [value for value in new.inputs if value not in matching.values_back]
    for value, other in zip(left, right, strict=False):
        matching.pair_values(value, other)


def _match_initializers(old: BodyOutline, new: BodyOutline, matching: Matching) -> None:
    """By name and contents, then by who uses them, by contents and by name."""

    def free() -> tuple[list[ValueOutline], list[ValueOutline]]:
        left = [value for value in old.initializers if value not in matching.values]
        right = [value for value in new.initializers if value not in matching.values_back]
        return left, right

    def take(key: Callable[[ValueOutline], Hashable]) -> None:
        left, right = free()
        for value, other in unique_pairs(left, right, key):
            matching.pair_values(value, other)

    take(lambda value: (value.name, value.digest))
    # Where both users stand, their initialisers correspond whatever they are called and hold.
    for value in free()[0]:
        for user, slot in value.users:
            counterpart = matching.nodes.get(user)
            if counterpart is None or slot >= len(counterpart.inputs):
                continue
            other = counterpart.inputs[slot]
            if other is not None and other.tensor is not None and _is_free(other, matching):
                matching.pair_values(value, other)
                break
    take(lambda value: value.digest)
    take(lambda value: value.name)


def _is_free(value: ValueOutline, matching: Matching) -> bool:
    return value not in matching.values_back and not value.is_input
