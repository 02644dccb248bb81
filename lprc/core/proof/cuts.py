"""Where two graphs must agree: what nodes that a rewrite left alone read, and what is put out."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.proof.numbering import Numbering, graphs_of, likeness_of

Cut = tuple[ir.Value, ir.Value]
"""A value of the graph before and one of the graph after that should be equal."""


def is_same(numbering: Numbering) -> bool:
    """Whether the graphs put out the same: all that is asked for."""
    pairs = _outputs(numbering.before.graph, numbering.after.graph)
    return pairs is not None and all(
        numbering.number(first) == numbering.number(second) for first, second in pairs
    )


def interface_change(before: ir.Model, after: ir.Model) -> str | None:
    """What differs of two models in a way that no window shows; None where nothing does."""
    if dict(before.graph.opset_imports) != dict(after.graph.opset_imports):
        return "the operator set changes"
    if [value.name for value in before.graph.inputs] != [
        value.name for value in after.graph.inputs
    ]:
        return "the graph's inputs change"
    if _outputs(before.graph, after.graph) is None:
        return "the graph's outputs change"
    if before.functions.keys() != after.functions.keys():
        return "the graph's functions change"
    return None


def open_cuts(numbering: Numbering) -> Iterator[Cut]:
    """Pairs that should be equal and are not known to be, in the order of the graph after.

    A node of the same name, operator, attributes and constants in both graphs is one that the
    rewrite left alone: what it reads should be the same. That is a guess, which decides only what
    is tried: nothing is taken for equal that was not proved.
    """
    yield from _in_graph(numbering.before.graph, numbering.after.graph, numbering)


def _outputs(before: ir.Graph, after: ir.Graph) -> list[Cut] | None:
    if len(before.outputs) != len(after.outputs):
        return None
    pairs = list(zip(before.outputs, after.outputs, strict=True))
    return None if any(first.name != second.name for first, second in pairs) else pairs


def _in_graph(before: ir.Graph, after: ir.Graph, numbering: Numbering) -> Iterator[Cut]:
    named = {node.name: node for node in before}
    for node in after:
        other = named.get(node.name)
        if other is None or not _is_left_alone(other, node, numbering):
            continue
        for first, second in zip(other.inputs, node.inputs, strict=True):
            if first is not None and second is not None:
                yield from _unequal([(first, second)], numbering)
        bodies = zip(graphs_of(other), graphs_of(node), strict=False)
        for (_, inner_before), (_, inner_after) in bodies:
            yield from _in_graph(inner_before, inner_after, numbering)
    if len(before.outputs) == len(after.outputs):
        pairs = zip(before.outputs, after.outputs, strict=True)
        yield from _unequal(list(pairs), numbering)


def _unequal(pairs: list[Cut], numbering: Numbering) -> Iterator[Cut]:
    for first, second in pairs:
        if numbering.number(first) != numbering.number(second):
            yield first, second


def _is_left_alone(before: ir.Node, after: ir.Node, numbering: Numbering) -> bool:
    if likeness_of(before) != likeness_of(after) or len(before.inputs) != len(after.inputs):
        return False
    return all(
        _alike(first, second, numbering)
        for first, second in zip(before.inputs, after.inputs, strict=True)
    )


def _alike(first: ir.Value | None, second: ir.Value | None, numbering: Numbering) -> bool:
    """Whether both inputs are left out, are the same constant, or vary."""
    if first is None or second is None:
        return first is second
    constants = [editing.constant(value) is not None for value in (first, second)]
    return not any(constants) or (
        all(constants) and numbering.number(first) == numbering.number(second)
    )
