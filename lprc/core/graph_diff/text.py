"""A difference as text for people, and as JSON data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lprc.core.graph_diff.grouping import Group, Sign, counted
from lprc.core.graph_diff.node_groups import groups
from lprc.core.graph_diff.result import GraphDifference, InitializerChange
from lprc.core.graph_diff.weight_groups import size_text

SCREEN = 40
"""Lines of a screen that differences may fill."""

WIDTH = 100
"""Characters of a line, where not every difference is asked for."""

_NAME_WIDTH = 40


@dataclass(frozen=True)
class Line:
    """A line of text, and the sign that it can be coloured by; empty for what lies between."""

    sign: Sign | str
    text: str


def unified_lines(difference: GraphDifference, *, limit: int | None = SCREEN) -> list[Line]:
    """One line for each kind of difference, with the names of some; headed by the counts.

    Args:
        difference: What to print.
        limit: How many kinds at most; None prints them all, and each single difference.
    """
    all_groups = groups(difference)
    lines = [Line("", headline(difference))]
    most = len(all_groups) if limit is None else _most(all_groups, limit)
    for section in dict.fromkeys(group.section for group in all_groups):
        members = [group for group in all_groups if group.section == section]
        lines += [_group_line(group, named=limit is not None) for group in members[:1]]
        if limit is None:
            lines += _item_lines(members[0])
        for group in members[1:most]:
            lines.append(_group_line(group, named=limit is not None))
            if limit is None:
                lines += _item_lines(group)
        rest = members[max(1, most) :]
        if rest:
            count = sum(len(group.items) for group in rest)
            lines.append(Line("", f"  … and {count} more {section} of {len(rest)} kinds"))
    return lines


def as_text(lines: Sequence[Line]) -> str:
    """Lines as one text."""
    return "".join(f"{line.text}\n" for line in lines)


def headline(difference: GraphDifference) -> str:
    """How much differs, in one line."""
    parts = [
        _number(len(changes), what)
        for what, changes in (
            ("of the interface", difference.interface),
            ("removed", difference.removed),
            ("added", difference.added),
            ("changed", difference.changed),
            ("rewired", difference.rewired),
            ("value", difference.values),
            ("initialiser", difference.initializers),
            ("renamed", difference.renamed),
        )
        if changes
    ]
    before, after = difference.nodes_before, difference.nodes_after
    nodes = _number(after, "node") if before == after else f"{before} → {_number(after, 'node')}"
    return f"{nodes}: {', '.join(parts) or 'no difference'}"


def _number(count: int, what: str) -> str:
    plural = "s" if what in ("initialiser", "node", "value") and count != 1 else ""
    return f"{count} {what}{plural}"


def summary_lines(difference: GraphDifference) -> list[Line]:
    """A few lines: counts by operator."""
    rows = [
        ("removed", counted(change.node.operator for change in difference.removed)),
        ("added", counted(change.node.operator for change in difference.added)),
        ("changed", counted(change.after.operator for change in difference.changed)),
        (
            "rewired",
            counted(
                "output" if change.user is None else change.user.operator
                for change in difference.rewired
            ),
        ),
        ("values", counted(change.kind for change in difference.values)),
        ("initialisers", _weights(difference.initializers)),
        ("interface", counted(change.what for change in difference.interface)),
    ]
    lines = [Line("", headline(difference))]
    lines += [Line("", f"  {what}: {said}") for what, said in rows if said]
    return lines


def document(difference: GraphDifference) -> dict[str, Any]:
    """All of it as JSON data."""
    return {"same": difference.same, **asdict(difference)}


def _weights(changes: Sequence[InitializerChange]) -> str:
    if not changes:
        return ""
    before = sum(each.before.bytes for each in changes if each.before is not None)
    after = sum(each.after.bytes for each in changes if each.after is not None)
    return f"{counted(each.what for each in changes)} ({size_text(before)} → {size_text(after)})"


def _most(found: Sequence[Group], limit: int) -> int:
    """How many groups of each section fit into `limit` lines together."""
    sizes = [
        sum(group.section == section for group in found)
        for section in {group.section for group in found}
    ]
    most = max(sizes, default=1)
    while most > 1 and sum(min(size, most) + (size > most) for size in sizes) > limit:
        most -= 1
    return most


def _group_line(group: Group, *, named: bool) -> Line:
    count = f"{len(group.items)} × " if len(group.items) > 1 else ""
    text = f"{group.sign} {count}{group.text}"
    if named:
        text = _with_examples(text, group)
    return Line(group.sign, text)


def _with_examples(text: str, group: Group) -> str:
    """Names of some behind what all have in common, and with one only, all about it."""
    text = _cut(text, WIDTH - 20)
    if len(group.items) == 1:
        (item,) = group.items
        detail = f" ({item.detail})" if item.detail else ""
        return _cut(f"{text}: {item.name}{detail}", WIDTH)
    separator = ": "
    for number, item in enumerate(group.items):
        room = WIDTH - len(text) - len(separator) - len(", …")
        name = _cut(item.name, _NAME_WIDTH if number else min(_NAME_WIDTH, room))
        if number and len(name) > room:
            return f"{text}, …"
        text += separator + name
        separator = ", "
    return text


def _item_lines(group: Group) -> list[Line]:
    return [
        Line(group.sign, f"    {item.name}{f': {item.detail}' if item.detail else ''}")
        for item in group.items
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
