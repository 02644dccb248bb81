"""Pairs of graphs with what differs between them, node by node, as the page's script reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from lprc.compiler.report.graphs import Strings
from lprc.core.graph_diff.matching import Matching
from lprc.core.graph_diff.model_matching import match
from lprc.core.graph_diff.nodes import changed_nodes
from lprc.core.graph_diff.outline import ModelOutline, NodeOutline, ValueOutline
from lprc.core.graph_diff.result import Source
from lprc.core.graph_diff.tensors import compare_values
from lprc.core.graph_diff.wiring import rewirings

Notes = dict[str, list[str]]


def changes(
    before: ModelOutline,
    after: ModelOutline,
    ids: tuple[Mapping[NodeOutline, int], Mapping[NodeOutline, int]],
    strings: Strings,
    *,
    ranges: bool = True,
) -> dict[str, Any]:
    """What differs between the main graphs of two models.

    Args:
        before: The model before.
        after: The model after.
        ids: The numbers of their nodes.
        strings: The page's texts.
        ranges: Whether a recorded range makes a node a changed one.

    Returns:
        ``removed`` and ``added``, numbers of nodes; ``changed``, ``[before, after, note]``; and
        ``moved``, ``[before, after]`` of nodes that are the same under another number.
    """
    matching = match(before, after)
    notes = _notes(before, after, matching)
    left, right = ids
    changed, moved = [], []
    for node in before.graph.nodes:
        other = matching.nodes.get(node)
        if other is None:
            continue
        note = "; ".join([*notes.get(other.label, ()), *_values(node, other, ranges)])
        if note:
            changed.append([left[node], right[other], strings.number(note)])
        elif left[node] != right[other]:
            moved.append([left[node], right[other]])
    return {
        "removed": [left[node] for node in before.graph.nodes if node not in matching.nodes],
        "added": [right[node] for node in after.graph.nodes if node not in matching.back],
        "changed": changed,
        "moved": moved,
    }


def _notes(before: ModelOutline, after: ModelOutline, matching: Matching) -> Notes:
    """Attributes and wiring, by the node after."""
    notes: Notes = defaultdict(list)
    for node in changed_nodes("", before.graph, matching):
        notes[node.after.name] += [
            f"{change.name}: {change.before or 'absent'} → {change.after or 'absent'}"
            for change in node.attributes
        ]
    for change in rewirings("", before.graph, after.graph, matching):
        if change.user is not None:
            notes[change.user.name].append(
                f"input {change.slot}: {_source(change.before)} → {_source(change.after)}"
            )
    return notes


def _source(source: Source) -> str:
    return (
        source.kind
        if source.kind in ("nothing", "initialiser")
        else f"{source.kind} {source.value}"
    )


def _values(node: NodeOutline, other: NodeOutline, ranges: bool) -> Iterator[str]:
    """Weights that hold something else, and outputs of another type or range."""
    for slot, (value, counterpart) in enumerate(zip(node.inputs, other.inputs, strict=False)):
        if value is not None and counterpart is not None:
            yield from _weight(slot, value, counterpart)
    for value, counterpart in zip(node.outputs, other.outputs, strict=False):
        # A type that becomes known is no other type.
        if value.type != "?" and not counterpart.type.startswith(value.type):
            yield f"type: {value.type} → {counterpart.type}"
        if ranges and counterpart.range is not None and counterpart.range != value.range:
            yield f"range: [{counterpart.range.low:.4g}, {counterpart.range.high:.4g}]"


def _weight(slot: int, value: ValueOutline, other: ValueOutline) -> Iterator[str]:
    if value.tensor is None or other.tensor is None or value.digest == other.digest:
        return
    if value.type != other.type:
        yield f"weight {slot}: {value.type} → {other.type}"
        return
    snr, reordered = compare_values(value.tensor, other.tensor)
    how = "reordered" if reordered else "other values"
    yield f"weight {slot}: {how}" + ("" if snr is None or reordered else f", SNR {snr:.1f} dB")
