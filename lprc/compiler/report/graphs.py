"""Graphs as the page's script reads them: small, with each node that several share held once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lprc.core.graph_diff.outline import BodyOutline, NodeOutline, ValueOutline


@dataclass
class Strings:
    """Texts by number, each once.

    Attributes:
        texts: In the order in which they were first met.
    """

    texts: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """The number of `text`."""
        found = self._numbers.get(text)
        if found is None:
            found = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return found

    def numbers(self, texts: Iterable[str]) -> list[int]:
        """The numbers of `texts`, in their order."""
        return [self.number(text) for text in texts]


@dataclass
class GraphTable:
    """The graphs of a history: a table of nodes, and for each graph which of them it holds.

    A graph is written as what it adds to the one before and what it takes away, so that fifteen
    snapshots of 10,000 nodes take little more room than one.

    Attributes:
        strings: The texts of all nodes.
        nodes: ``[name, operator, attributes, inputs, outputs, types, origins, weights]``, numbers
            of texts or lists of them.
        graphs: ``{added, removed, inputs, outputs}``; an input is ``[name, type]``.
    """

    strings: Strings
    nodes: list[list[Any]] = field(default_factory=list)
    graphs: list[dict[str, Any]] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)
    _present: dict[int, None] = field(default_factory=dict)

    def add(self, body: BodyOutline) -> dict[NodeOutline, int]:
        """Append a graph; gives the numbers of its nodes."""
        ids = {node: self._number(node) for node in body.nodes}
        present = dict.fromkeys(ids.values())
        self.graphs.append(
            {
                "added": [item for item in present if item not in self._present],
                "removed": [item for item in self._present if item not in present],
                "inputs": [self._port(item) for item in body.inputs if item.tensor is None],
                "outputs": [self._port(item) for item in body.outputs],
            }
        )
        self._present = present
        return ids

    def _port(self, value: ValueOutline) -> list[int]:
        return self.strings.numbers((value.name, value.type))

    def _number(self, node: NodeOutline) -> int:
        row = self._row(node)
        key = repr(row)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self.nodes)
            self.nodes.append(row)
        return found

    def _row(self, node: NodeOutline) -> list[Any]:
        used = [value for value in (*node.inputs, *_captured(node)) if value is not None]
        outputs = [value for value in node.outputs if value.name]
        attributes = [
            f"{name}={attribute.text}" for name, attribute in sorted(node.attributes.items())
        ]
        attributes += [f"{name}=graph of {len(body.nodes)}" for name, body in node.bodies.items()]
        number, numbers = self.strings.number, self.strings.numbers
        return [
            number(node.label),
            number(node.operator),
            number(", ".join(attributes)),
            numbers(value.name for value in used if value.tensor is None),
            numbers(value.name for value in outputs),
            numbers(value.type for value in outputs),
            numbers(node.origins),
            numbers(_weight(value) for value in used if value.tensor is not None),
        ]


def _weight(value: ValueOutline) -> str:
    return f"{value.name}: {value.type} #{value.digest[:6]}"


def _captured(node: NodeOutline) -> list[ValueOutline]:
    """What the node's subgraphs use from outside, in the order in which they do."""
    inner_values: set[int] = set()
    used: list[ValueOutline] = []
    pending = list(node.bodies.values())
    while pending:
        body = pending.pop()
        inner_values |= {id(value) for value in (*body.inputs, *body.initializers)}
        used += body.outputs
        for inner in body.nodes:
            inner_values |= {id(value) for value in inner.outputs}
            used += [value for value in inner.inputs if value is not None]
            pending += inner.bodies.values()
    return list({id(value): value for value in used if id(value) not in inner_values}.values())
