"""Differences of one kind together: ``6 × BatchNormalization folded into Conv``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from lprc.core.graph_diff.grouping import Group, Item, Sign, counted, placed, quoted
from lprc.core.graph_diff.result import (
    AttributeChange,
    ChangedNode,
    GraphDifference,
    InterfaceChange,
    NodeReference,
    RemovedNode,
    Rewiring,
    ValueChange,
)
from lprc.core.graph_diff.weight_groups import weight_groups

T = TypeVar("T")


def groups(difference: GraphDifference) -> list[Group]:
    """All differences in groups; in each section the largest group first."""
    all_groups: list[Group] = []
    all_groups += _grouped("interface", "~", difference.interface, _interface_kind, _interface_item)
    all_groups += _grouped("removed", "-", difference.removed, _fate, lambda gone: _node(gone.node))
    all_groups += _grouped(
        "added",
        "+",
        difference.added,
        lambda added: (
            quoted(added.node.operator)
            + (f" for {_together(added.made_from)}" if added.made_from else "")
        ),
        lambda added: _node(added.node),
    )
    all_groups += _changed_groups(difference.changed)
    all_groups += _grouped("rewired", "~", difference.rewired, _wire_kind, _wire_item)
    all_groups += _value_groups(difference.values)
    all_groups += weight_groups(difference.initializers)
    all_groups += _grouped(
        "renamed",
        "=",
        difference.renamed,
        lambda renaming: f"{renaming.what} renamed",
        lambda renaming: Item(
            f"{placed(renaming.body, renaming.before)} → {quoted(renaming.after)}"
        ),
    )
    return all_groups


def _grouped(
    section: str,
    sign: Sign,
    changes: Iterable[T],
    kind: Callable[[T], str],
    item: Callable[[T], Item],
) -> Iterator[Group]:
    kinds: dict[str, list[Item]] = {}
    for change in changes:
        kinds.setdefault(kind(change), []).append(item(change))
    # Python's sort is stable: what comes first in the graph comes first among equals.
    for text, items in sorted(kinds.items(), key=lambda entry: -len(entry[1])):
        yield Group(section, sign, text, tuple(items))


def _together(operators: tuple[str, ...]) -> str:
    shown = operators if len(operators) <= 3 else (*operators[:3], "…")
    return " + ".join(map(quoted, shown))


def _node(node: NodeReference, detail: str = "") -> Item:
    origins = ", ".join(map(quoted, node.origins)) if node.origins != (node.name,) else ""
    said = [detail, f"from {origins}" if origins else ""]
    return Item(placed(node.body, node.name), "; ".join(filter(None, said)))


def _fate(change: RemovedNode) -> str:
    ways = []
    if change.folded_into:
        ways.append(f"folded into {_together(change.folded_into)}")
    if change.replaced_by:
        ways.append(f"replaced by {_together(change.replaced_by)}")
    if change.became_initializer:
        ways.append("now an initialiser")
    return f"{quoted(change.node.operator)} {', '.join(ways) or 'removed'}"


def _interface_kind(change: InterfaceChange) -> str:
    if change.before is None:
        return f"{change.what} added"
    return f"{change.what} removed" if change.after is None else f"{change.what} changed"


def _interface_item(change: InterfaceChange) -> Item:
    texts = [quoted(each) for each in (change.before, change.after) if each is not None]
    known = change.what in ("input", "output") or change.name == ""
    name = " → ".join(texts) if known else f"{quoted(change.name)}: {' → '.join(texts)}"
    return Item(f"{quoted(change.body)}/{name}" if change.body else name)


def _attribute(change: AttributeChange) -> str:
    before = "(none)" if change.before is None else change.before
    after = "(none)" if change.after is None else change.after
    return quoted(f"{change.name} {before} → {after}")


def _changed_groups(changes: tuple[ChangedNode, ...]) -> Iterator[Group]:
    """By attributes with their values where all such nodes have the same, else by name."""
    values: dict[tuple[str, ...], set[str]] = {}
    for change in changes:
        values.setdefault(_attribute_names(change), set()).add(_attribute_values(change))

    def alike(change: ChangedNode) -> bool:
        return len(values[_attribute_names(change)]) == 1

    def kind(change: ChangedNode) -> str:
        operator, *names = map(quoted, _attribute_names(change))
        if alike(change):
            return f"{operator} {_attribute_values(change)}"
        return f"{operator} with another {', '.join(names)}"

    def item(change: ChangedNode) -> Item:
        return _node(change.after, "" if alike(change) else _attribute_values(change))

    return _grouped("changed", "~", changes, kind, item)


def _attribute_names(change: ChangedNode) -> tuple[str, ...]:
    return (change.after.operator, *(each.name for each in change.attributes))


def _attribute_values(change: ChangedNode) -> str:
    return ", ".join(map(_attribute, change.attributes))


def _wire_kind(change: Rewiring) -> str:
    user = "output" if change.user is None else f"{quoted(change.user.operator)} input"
    before, after = quoted(change.before.kind), quoted(change.after.kind)
    if before == after:
        return f"{user} {change.slot}: another {after}"
    return f"{user} {change.slot}: {before} → {after}"


def _wire_item(change: Rewiring) -> Item:
    name = quoted(change.after.value) if change.user is None else quoted(change.user.name)
    before = quoted(change.before.value) if change.before.kind != "nothing" else "nothing"
    after = quoted(change.after.value) if change.after.kind != "nothing" else "nothing"
    place = f"{quoted(change.body)}/{name}" if change.body else name
    return Item(place, f"{before} → {after}")


def _value_groups(changes: tuple[ValueChange, ...]) -> Iterator[Group]:
    kinds: dict[str, list[ValueChange]] = {}
    for change in changes:
        for kind in _value_kinds(change):
            kinds.setdefault(kind, []).append(change)
    for kind, found in sorted(kinds.items(), key=lambda entry: -len(entry[1])):
        items = tuple(_value_item(change, kind) for change in found)
        yield Group("values", "~", f"{kind} ({counted(each.kind for each in found)})", items)


def _value_kinds(change: ValueChange) -> Iterator[str]:
    before, after = change.type_before, change.type_after
    if before != after:
        if "?" in before and "?" not in after:
            yield "type or shape found"
        elif before.split("[")[0] != after.split("[")[0]:
            yield f"type {before.split('[')[0]} → {after.split('[')[0]}"
        else:
            yield "shape changed"
    if change.range_before != change.range_after:
        if change.range_before is None:
            yield "range set"
        else:
            yield "range dropped" if change.range_after is None else "range changed"


def _value_item(change: ValueChange, kind: str) -> Item:
    if kind.startswith("range"):
        texts = (_interval(change.range_before), _interval(change.range_after))
    else:
        texts = (change.type_before, change.type_after)
    return Item(placed(change.body, change.name), " → ".join(map(quoted, texts)))


def _interval(found: tuple[float, float] | None) -> str:
    return "none" if found is None else f"[{found[0]:.4g}, {found[1]:.4g}]"
