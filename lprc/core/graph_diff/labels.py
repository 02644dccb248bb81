"""Labels of nodes that are equal where their surroundings are (after Weisfeiler and Leman).

Weisfeiler and Leman, "The reduction of a graph to canonical form" (1968), refines labels round by
round. A graph of operators has no cycles, so one sweep from the inputs and one from the outputs
reach every node's whole surroundings: the time is linear in the number of edges.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from enum import IntEnum

from lprc.core.graph_diff.outline import BodyOutline, NodeOutline, ValueOutline

Labels = dict[NodeOutline, int]


class Detail(IntEnum):
    """How much of a node's own content counts."""

    CONTENT = 0
    """The operator, attributes and the initialisers' contents."""
    FORM = 1
    """The operator, attributes and the initialisers' types."""
    OPERATOR = 2
    """The operator."""


class Interner:
    """Numbers equal things equally, so that labels stay small and can't collide."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def __call__(self, thing: Hashable) -> int:
        """The number of `thing`, which is new where `thing` is."""
        return self._numbers.setdefault(thing, len(self._numbers))


def own_label(node: NodeOutline, detail: Detail) -> Hashable:
    """What a node is by itself."""
    if detail is Detail.OPERATOR:
        return node.operator
    attributes = tuple(sorted((name, each.key) for name, each in node.attributes.items()))
    bodies = tuple(
        (title, tuple(sorted(inner.operator for inner in body.nodes)))
        for title, body in sorted(node.bodies.items())
    )
    return (node.operator, attributes, bodies, _tensors(node, detail))


def weight_elements(node: NodeOutline) -> int:
    """The elements of a node's largest initialiser; 0 without one."""
    sizes = (
        int(each.tensor.size)
        for each in node.inputs
        if each is not None and each.tensor is not None
    )
    return max(sizes, default=0)


def _tensors(node: NodeOutline, detail: Detail) -> tuple[Hashable, ...]:
    return tuple(
        (slot, value.digest if detail is Detail.CONTENT else value.type)
        for slot, value in enumerate(node.inputs)
        if value is not None and value.tensor is not None and not value.is_input
    )


def forward(
    body: BodyOutline,
    own: Mapping[NodeOutline, int],
    anchor: Callable[[NodeOutline], int | None],
    edge: Callable[[ValueOutline], Hashable],
    number: Interner,
) -> Labels:
    """Labels of what feeds each node, up to the nodes that are matched already.

    Args:
        body: The graph.
        own: What each node is by itself.
        anchor: The number of a node's match; None where it has none yet.
        edge: What a value is that no node of `body` puts out.
        number: Shared by the two graphs.
    """
    labels: Labels = {}
    for node in body.nodes:
        matched = anchor(node)
        if matched is not None:
            labels[node] = number(("matched", matched))
            continue
        sources: list[Hashable] = []
        for value in node.inputs:
            if value is None:
                sources.append(None)
            elif value.producer in labels:
                sources.append((labels[value.producer], value.index))
            else:
                sources.append(edge(value))
        labels[node] = number((own[node], tuple(sources)))
    return labels


def backward(
    body: BodyOutline,
    own: Mapping[NodeOutline, int],
    anchor: Callable[[NodeOutline], int | None],
    number: Interner,
) -> Labels:
    """Labels of what each node feeds, down to the nodes that are matched already."""
    outputs: dict[NodeOutline, list[tuple[int, int]]] = {}
    for position, value in enumerate(body.outputs):
        if value.producer is not None:
            outputs.setdefault(value.producer, []).append((value.index, position))
    labels: Labels = {}
    for node in reversed(body.nodes):
        matched = anchor(node)
        if matched is not None:
            labels[node] = number(("matched", matched))
            continue
        users = sorted(
            (value.index, slot, labels.get(user, -1))
            for value in node.outputs
            for user, slot in value.users
        )
        labels[node] = number((own[node], tuple(users), tuple(outputs.get(node, ()))))
    return labels
