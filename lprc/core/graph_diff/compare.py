"""The semantic diff of two models."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from lprc.core.graph_diff.interface import interface_changes
from lprc.core.graph_diff.matching import Matching
from lprc.core.graph_diff.model_matching import match
from lprc.core.graph_diff.nodes import added_nodes, changed_nodes, removed_nodes
from lprc.core.graph_diff.outline import BodyOutline, ModelOutline, ValueOutline, outline
from lprc.core.graph_diff.result import (
    GraphDifference,
    InitializerChange,
    Renaming,
    ValueChange,
)
from lprc.core.graph_diff.tensors import compare_values, statistics
from lprc.core.graph_diff.wiring import rewirings
from lprc.core.process.collector import collector_paused


def diff_models(before: ir.Model, after: ir.Model) -> GraphDifference:
    """What differs between two models; nodes are matched however they are named and ordered."""
    with collector_paused():
        return diff_outlines(outline(before), outline(after))


@collector_paused()
def diff_outlines(before: ModelOutline, after: ModelOutline) -> GraphDifference:
    """What differs between two models, or between one model at two moments."""
    matching = match(before, after)
    bodies = matching.bodies
    return GraphDifference(
        nodes_before=_count(before),
        nodes_after=_count(after),
        interface=tuple(interface_changes(before, after, matching)),
        removed=tuple(removed_nodes(matching)),
        added=tuple(added_nodes(matching)),
        changed=tuple(
            change for title, old, _ in bodies for change in changed_nodes(title, old, matching)
        ),
        rewired=tuple(change for body in bodies for change in rewirings(*body, matching)),
        values=tuple(change for body in bodies for change in _value_changes(*body, matching)),
        initializers=tuple(change for body in bodies for change in _weights(*body, matching)),
        renamed=tuple(change for body in bodies for change in _renamings(*body, matching)),
    )


def _count(model: ModelOutline) -> int:
    pending, total = [model.graph, *model.functions.values()], 0
    while pending:
        body = pending.pop()
        total += len(body.nodes)
        pending += [inner for node in body.nodes for inner in node.bodies.values()]
    return total


def _pairs(
    old: BodyOutline, matching: Matching
) -> Iterator[tuple[str, ValueOutline, ValueOutline]]:
    """Values that correspond, with what puts them out."""
    for value in old.inputs:
        if value in matching.values:
            yield "input", value, matching.values[value]
    for node in old.nodes:
        other = matching.nodes.get(node)
        if other is not None:
            for value, counterpart in zip(node.outputs, other.outputs, strict=False):
                yield node.operator, value, counterpart


def _public(title: str, body: BodyOutline) -> frozenset[ValueOutline]:
    """The inputs and outputs of the model, whose names and types are said as its interface."""
    return frozenset() if title else frozenset((*body.inputs, *body.outputs))


def _value_changes(
    title: str, old: BodyOutline, new: BodyOutline, matching: Matching
) -> Iterator[ValueChange]:
    public = _public(title, new)
    for kind, value, other in _pairs(old, matching):
        typed = value.type != other.type and other not in public
        if typed or value.range != other.range:
            yield ValueChange(
                title, other.name or value.name, kind, value.type, other.type,
                _range(value), _range(other),
            )  # fmt: skip


def _range(value: ValueOutline) -> tuple[float, float] | None:
    return None if value.range is None else (value.range.low, value.range.high)


def _weights(
    title: str, old: BodyOutline, new: BodyOutline, matching: Matching
) -> Iterator[InitializerChange]:
    for value in old.initializers:
        other = matching.values.get(value)
        users = _users(value if other is None else other)
        if other is None or other.tensor is None:
            if value.tensor is not None:
                gone = statistics(value.tensor, value.type)
                yield InitializerChange(title, value.name, "removed", users, gone, None)
        elif value.tensor is not None and value.digest != other.digest:
            snr, reordered = compare_values(value.tensor, other.tensor)
            yield InitializerChange(
                title, other.name, "changed", users, statistics(value.tensor, value.type),
                statistics(other.tensor, other.type), snr, reordered,
            )  # fmt: skip
    for value in new.initializers:
        origin = matching.values_back.get(value)
        if value.tensor is not None and (origin is None or origin.tensor is None):
            new_statistics = statistics(value.tensor, value.type)
            yield InitializerChange(title, value.name, "added", _users(value), None, new_statistics)


def _users(value: ValueOutline) -> tuple[str, ...]:
    return tuple(sorted({user.operator for user, _ in value.users}))


def _renamings(
    title: str, old: BodyOutline, new: BodyOutline, matching: Matching
) -> Iterator[Renaming]:
    for node in old.nodes:
        other = matching.nodes.get(node)
        if other is not None and node.name != other.name:
            yield Renaming(title, "node", node.name, other.name)
    public = _public(title, new)
    for _, value, counterpart in _pairs(old, matching):
        if value.name != counterpart.name and counterpart not in public:
            yield Renaming(title, "value", value.name, counterpart.name)
    for value in old.initializers:
        initializer = matching.values.get(value)
        if initializer is not None and value.name != initializer.name and not value.is_input:
            yield Renaming(title, "initialiser", value.name, initializer.name)
