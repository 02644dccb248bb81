"""Nodes that are gone, new, or have other attributes; and what became of those that are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lprc.core.graph_diff.defaults import is_default
from lprc.core.graph_diff.matching import Matching
from lprc.core.graph_diff.outline import (
    AttributeOutline,
    BodyOutline,
    NodeOutline,
)
from lprc.core.graph_diff.result import (
    AddedNode,
    AttributeChange,
    ChangedNode,
    NodeReference,
    RemovedNode,
)

Index = dict[str, list[NodeOutline]]


def reference(title: str, node: NodeOutline) -> NodeReference:
    """What to call a node of the body `title`."""
    return NodeReference(title, node.label, node.operator, node.origins)


def removed_nodes(matching: Matching) -> Iterator[RemovedNode]:
    """The nodes of common bodies that only the model before has."""
    index = _by_origin(matching, lambda _, new: new)
    for title, old, new in matching.bodies:
        new_initializers = {
            value.name for value in new.initializers if value not in matching.values_back
        }
        for node in old.nodes:
            if node not in matching.nodes:
                folded, replaced = _heirs(node, index, matching)
                yield RemovedNode(
                    reference(title, node),
                    folded,
                    replaced,
                    any(value.name in new_initializers for value in node.outputs),
                )


def _heirs(
    node: NodeOutline, index: Index, matching: Matching
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Operators of the nodes that stand for `node` now: of those that were there, of new ones."""
    folded, replaced = set(), set()
    for origin in node.origins:
        for heir in index.get(origin, ()):
            twin = matching.back.get(heir)
            if twin is None:
                replaced.add(heir.operator)
            elif origin not in twin.origins:
                folded.add(heir.operator)
    return tuple(sorted(folded)), tuple(sorted(replaced))


def added_nodes(matching: Matching) -> Iterator[AddedNode]:
    """The nodes of common bodies that only the model after has."""
    index = _by_origin(matching, lambda old, _: old)
    for title, _, new in matching.bodies:
        for node in new.nodes:
            if node in matching.back:
                continue
            sources = [source for origin in node.origins for source in index.get(origin, ())]
            # What a node replaces tells more than what it stands beside.
            gone = [source for source in sources if source not in matching.nodes]
            operators = tuple(sorted({source.operator for source in gone or sources}))
            yield AddedNode(reference(title, node), operators)


def _by_origin(
    matching: Matching, side: Callable[[BodyOutline, BodyOutline], BodyOutline]
) -> Index:
    """All nodes of one side by origin: what is inlined comes from another body."""
    index: Index = {}
    for _, old, new in matching.bodies:
        for node in side(old, new).nodes:
            for origin in node.origins:
                index.setdefault(origin, []).append(node)
    return index


def changed_nodes(title: str, old: BodyOutline, matching: Matching) -> Iterator[ChangedNode]:
    """The matched nodes of two bodies with other attributes, or outputs left out."""
    for node in old.nodes:
        other = matching.nodes.get(node)
        if other is not None:
            changes = tuple(_attributes(node, other))
            if changes:
                yield ChangedNode(reference(title, node), reference(title, other), changes)


def _attributes(node: NodeOutline, other: NodeOutline) -> Iterator[AttributeChange]:
    for name in sorted(node.attributes.keys() | other.attributes.keys()):
        before, after = node.attributes.get(name), other.attributes.get(name)
        if _differ(node, name, before, after):
            texts = (None if attribute is None else attribute.text for attribute in (before, after))
            yield AttributeChange(name, *texts)
    for title in sorted(node.bodies.keys() ^ other.bodies.keys()):
        texts = ("a graph" if title in attribute.bodies else None for attribute in (node, other))
        yield AttributeChange(title, *texts)
    used, then = _used_outputs(node), _used_outputs(other)
    if used != then:
        yield AttributeChange("outputs", str(used), str(then))


def _differ(
    node: NodeOutline, name: str, before: AttributeOutline | None, after: AttributeOutline | None
) -> bool:
    if before is not None and after is not None:
        return before.key != after.key
    said = before or after
    return said is None or not is_default(node.operator, name, said.text)


def _used_outputs(node: NodeOutline) -> int:
    """How many outputs there are, those left out at the end not counted."""
    return max((number for number, value in enumerate(node.outputs, 1) if value.name), default=0)
