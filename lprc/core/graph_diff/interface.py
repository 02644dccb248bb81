"""What differs between two models as seen from outside: inputs, outputs, imports, functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lprc.core.graph_diff.matching import Matching
from lprc.core.graph_diff.outline import BodyOutline, ModelOutline, ValueOutline
from lprc.core.graph_diff.result import InterfaceChange

OutputPair = tuple[int, ValueOutline | None, ValueOutline | None]
"""An output's position (after, or before where it is gone), and the output before and after."""


def interface_changes(
    before: ModelOutline, after: ModelOutline, matching: Matching
) -> Iterator[InterfaceChange]:
    """Changes of the model, then of each body."""
    versions = {"": str(before.ir_version)}, {"": str(after.ir_version)}
    yield from _entries("", "IR version", *versions)
    yield from _entries("", "function", *(_function_sizes(model) for model in (before, after)))
    for title, old, new in matching.bodies:
        yield from _entries(title, "opset", _texts(old.imports), _texts(new.imports))
        yield from _entries(title, "function attribute", old.attributes, new.attributes)
        yield from _inputs(title, old, new, matching)
        for _, value, other in output_pairs(title, old, new):
            yield from _value(title, "output", value, other)


def _function_sizes(model: ModelOutline) -> dict[str, str]:
    return {name: f"{len(body.nodes)} nodes" for name, body in model.functions.items()}


def _texts(versions: Mapping[str, int]) -> dict[str, str]:
    return {name: str(version) for name, version in versions.items()}


def _entries(
    title: str, what: str, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[InterfaceChange]:
    for name in sorted(before.keys() | after.keys()):
        # A function of both models is compared as a body.
        both = what == "function" and name in before and name in after
        if not both and before.get(name) != after.get(name):
            yield InterfaceChange(title, what, name, before.get(name), after.get(name))


def _inputs(
    title: str, old: BodyOutline, new: BodyOutline, matching: Matching
) -> Iterator[InterfaceChange]:
    for value in old.inputs:
        yield from _value(title, "input", value, matching.values.get(value))
    for value in new.inputs:
        if value not in matching.values_back:
            yield from _value(title, "input", None, value)


def _value(
    title: str, what: str, value: ValueOutline | None, other: ValueOutline | None
) -> Iterator[InterfaceChange]:
    before, after = _described(value), _described(other)
    # Types inside are said with the other values.
    counts = before != after if not title else (before is None) != (after is None)
    if counts:
        named = other or value
        yield InterfaceChange(title, what, "" if named is None else named.name, before, after)


def _described(value: ValueOutline | None) -> str | None:
    return None if value is None else f"{value.name}: {value.type}"


def output_pairs(title: str, old: BodyOutline, new: BodyOutline) -> list[OutputPair]:
    """The outputs that correspond: of the model by name and then by order, else by position."""
    left: dict[int, ValueOutline] = dict(enumerate(old.outputs))
    pairs: list[OutputPair] = []
    rest: list[tuple[int, ValueOutline]] = []
    positions = {} if title else {value.name: place for place, value in left.items()}
    for place, value in enumerate(new.outputs):
        position = positions.get(value.name)
        if position is None or position not in left:
            rest.append((place, value))
        else:
            pairs.append((place, left.pop(position), value))
    old_rest = sorted(left.items())
    for (_, value), (place, other) in zip(old_rest, rest, strict=False):
        pairs.append((place, value, other))
    pairs += [(place, value, None) for place, value in old_rest[len(rest) :]]
    pairs += [(place, None, value) for place, value in rest[len(old_rest) :]]
    return sorted(pairs, key=lambda pair: pair[0])
