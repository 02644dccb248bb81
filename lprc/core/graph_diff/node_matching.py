"""Which node of one graph is which of another: by content, provenance, names, then structure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable

from lprc.core.graph_diff.labels import (
    Detail,
    Interner,
    Labels,
    backward,
    forward,
    own_label,
    weight_elements,
)
from lprc.core.graph_diff.matching import Matching, unique_pairs
from lprc.core.graph_diff.outline import BodyOutline, NodeOutline, ValueOutline

TELLING_ELEMENTS = 8
"""A weight of this many elements is no accident: who else has it is the same node."""

FEW_PAIRS = 4
"""With fewer pairs to judge names by, names are believed."""

Key = Callable[[NodeOutline], Hashable]


def match_nodes(before: BodyOutline, after: BodyOutline, matching: Matching) -> None:
    """Match the nodes of two bodies, and not those of their subgraphs.

    Nodes with the same telling weights are matched first. They also show what names are worth:
    exporters number nodes, and after an insertion all the numbers stand for other nodes.
    """
    step = _Step(before, after, matching)
    step.by_content()
    named = step.agreement(lambda node, other: node.name == other.name)
    from_same = step.agreement(_share_origin)
    if from_same:
        step.by_origin()
    if named:
        step.by_name()
    step.by_structure(careful=from_same)
    if not from_same:
        step.by_origin()
    if not named:
        step.by_name()


def _share_origin(node: NodeOutline, other: NodeOutline) -> bool:
    return bool(set(node.origins) & set(other.origins))


class _Step:
    """The steps of matching two bodies; each looks at what the ones before it left over."""

    def __init__(self, before: BodyOutline, after: BodyOutline, matching: Matching) -> None:
        self._before, self._after, self._matching = before, after, matching
        self._number = Interner()
        self._own: dict[NodeOutline, int] = {}
        self._careful = False

    def _free(self) -> tuple[list[NodeOutline], list[NodeOutline]]:
        is_free = self._matching.is_free
        left = [node for node in self._before.nodes if is_free(node)]
        right = [node for node in self._after.nodes if is_free(node)]
        return left, right

    def _take(self, key: Key) -> list[NodeOutline]:
        """Match what `key` tells apart on both sides; returns the nodes before."""
        pairs = [
            (node, other)
            for node, other in unique_pairs(*self._free(), key)
            if not self._contradicts(node, other)
        ]
        for node, other in pairs:
            self._matching.pair(node, other)
        return [node for node, _ in pairs]

    def _contradicts(self, node: NodeOutline, other: NodeOutline) -> bool:
        """Whether provenance says that two nodes that look alike are not the same."""
        if not self._careful or not (node.has_provenance or other.has_provenance):
            return False
        return bool(node.origins) and bool(other.origins) and not _share_origin(node, other)

    def agreement(self, agree: Callable[[NodeOutline, NodeOutline], bool]) -> bool:
        """Whether most of the pairs so far agree in something."""
        pairs = [
            (node, other)
            for node in self._before.nodes
            if (other := self._matching.nodes.get(node)) is not None
        ]
        return len(pairs) < FEW_PAIRS or 2 * sum(agree(*pair) for pair in pairs) >= len(pairs)

    def by_content(self) -> None:
        """Match the only nodes with the same operator, attributes and large weights."""

        def key(node: NodeOutline) -> Hashable:
            if weight_elements(node) < TELLING_ELEMENTS:
                return None
            return own_label(node, Detail.CONTENT)

        self._take(key)

    def by_origin(self) -> None:
        """Match nodes of one operator that come from the same source nodes, then from any one."""
        self._take(lambda node: (node.name, node.operator, node.origins) if node.name else None)
        self._take(lambda node: (node.operator, node.origins) if node.origins else None)
        left, right = self._free()
        theirs = _by_origin(right)
        for origin, mine in _by_origin(left).items():
            others = theirs.get(origin, ())
            if len(mine) != 1 or len(others) != 1:
                continue
            (node,), (other,) = mine, others
            if self._matching.is_free(node) and self._matching.is_free(other):
                self._matching.pair(node, other)

    def by_name(self) -> None:
        """Match nodes of one operator with one name, or whose first output has one name."""
        self._take(lambda node: (node.name, node.operator) if node.name else None)
        self._take(
            lambda node: (
                (node.outputs[0].name, node.operator)
                if node.outputs and node.outputs[0].name
                else None
            )
        )

    def by_structure(self, *, careful: bool) -> None:
        """Match by what nodes are and what surrounds them, in less and less detail."""
        explicit = any(node.has_provenance for node in self._after.nodes)
        half = min(len(self._before.nodes), len(self._after.nodes)) / 2
        for detail in Detail:
            left, right = self._free()
            if not left or not right:
                return
            matched = sum(node in self._matching.nodes for node in self._before.nodes)
            self._careful = careful and explicit and matched >= half
            self._own = {
                node: self._number(own_label(node, detail))
                for node in (*self._before.nodes, *self._after.nodes)
            }
            self._refine()
        self._careful = False

    def _refine(self) -> None:
        """Match by surroundings: all of them, what feeds a node, what it feeds, neighbours."""
        self._spread(self._before.nodes)
        self._spread(self._take(lambda node: self._own[node]))
        for sides in ((True, True), (True, False), (False, True)):
            self._spread(self._take(self._surroundings(*sides)))
        self._pair_twins(self._surroundings(True, True))
        self._pair_twins(self._surroundings(True, False))
        self._pair_twins(self._surroundings(False, True))

    def _surroundings(self, above: bool, below: bool) -> Key:
        labels: list[Labels] = []
        for body in (self._before, self._after):
            up = self._forward(body) if above else {}
            down = backward(body, self._own, self._matching.number, self._number) if below else {}
            labels.append(
                {node: self._number((up.get(node), down.get(node))) for node in body.nodes}
            )
        both = {**labels[0], **labels[1]}
        return both.__getitem__

    def _forward(self, body: BodyOutline) -> Labels:
        return forward(body, self._own, self._matching.number, self._edge, self._number)

    def _edge(self, value: ValueOutline) -> Hashable:
        """What a value is that comes from outside: its match, where it has one."""
        if value.producer is not None:  # of an outer graph
            return ("outer", self._matching.number(value.producer), value.index)
        if value.tensor is not None and not value.is_input:
            return "initialiser"  # what it holds is part of the node's own label
        counterpart = self._matching.values.get(value, value)
        return ("input", id(counterpart))

    def _spread(self, nodes: Iterable[NodeOutline]) -> None:
        """Match neighbours of matched nodes that only one candidate fits, and theirs."""
        pending = deque(nodes)
        while pending:
            node = pending.popleft()
            other = self._matching.nodes.get(node)
            if other is None:
                continue
            pending.extend(self._match_users(node, other))
            pending.extend(self._match_producers(node, other))

    def _match_users(self, node: NodeOutline, other: NodeOutline) -> list[NodeOutline]:
        found = []
        theirs = self._free_users(other)
        for key, mine in self._free_users(node).items():
            others = theirs.get(key, [])
            if len(mine) == 1 and len(others) == 1 and self._try(mine[0], others[0]):
                found.append(mine[0])
        return found

    def _free_users(self, node: NodeOutline) -> dict[Hashable, list[NodeOutline]]:
        groups: dict[Hashable, list[NodeOutline]] = {}
        for value in node.outputs:
            for user, slot in value.users:
                # Subgraphs use outer values; their nodes are matched with their own body.
                if self._matching.is_free(user) and user in self._own:
                    groups.setdefault((value.index, slot, self._own[user]), []).append(user)
        return groups

    def _match_producers(self, node: NodeOutline, other: NodeOutline) -> list[NodeOutline]:
        matched = []
        for value, counterpart in zip(node.inputs, other.inputs, strict=False):
            if value is None or counterpart is None or value.index != counterpart.index:
                continue
            mine, theirs = value.producer, counterpart.producer
            if mine is None or theirs is None or mine not in self._own or theirs not in self._own:
                continue
            if self._own[mine] == self._own[theirs] and self._try(mine, theirs):
                matched.append(mine)
        return matched

    def _try(self, node: NodeOutline, other: NodeOutline) -> bool:
        is_free = self._matching.is_free
        if not is_free(node) or not is_free(other) or self._contradicts(node, other):
            return False
        self._matching.pair(node, other)
        return True

    def _pair_twins(self, key: Key) -> None:
        """Match nodes that nothing tells apart in their order, each with its neighbourhood."""
        left, right = self._free()
        groups: dict[Hashable, deque[NodeOutline]] = {}
        for other in right:
            groups.setdefault(key(other), deque()).append(other)
        for node in left:
            candidates = groups.get(key(node))
            while candidates and not self._matching.is_free(candidates[0]):
                candidates.popleft()
            if candidates and self._try(node, candidates[0]):
                candidates.popleft()
                self._spread([node])


def _by_origin(nodes: Iterable[NodeOutline]) -> dict[tuple[str, str], list[NodeOutline]]:
    groups: dict[tuple[str, str], list[NodeOutline]] = {}
    for node in nodes:
        for origin in node.origins:
            groups.setdefault((node.operator, origin), []).append(node)
    return groups
