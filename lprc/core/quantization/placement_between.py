"""Operators that run in integers because everything around them does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.quantization.placement_rules import (
    Rules,
    carried_inputs,
    is_carrier,
    is_excluded,
    leaves_graph,
)


def between_quantized(
    model: ir.Model,
    inputs: Sequence[tuple[ir.Node, int]],
    outputs: Iterable[ir.Value],
    rules: Rules,
) -> list[tuple[ir.Node, int]]:
    """Inputs of the operators that `rules.between` is about: (node, index), in graph order.

    Args:
        model: Its activations have recorded ranges.
        inputs: What is quantised for other operators.
        outputs: Values that are quantised besides.
        rules: The target's.
    """
    chosen = {
        node: None
        for node in model.graph
        if editing.is_op(node, *rules.between) and _can_be_chosen(node, rules)
    }
    quantized = {*(node.inputs[index] for node, index in inputs), *outputs}
    readers = set(inputs)
    count = -1
    # What is left out may have been all that another one stood between.
    while count != len(chosen):
        count = len(chosen)
        for node in list(chosen):
            if not all(_is_quantized(value, quantized, chosen, rules) for value in node.inputs):
                del chosen[node]
        for node in reversed(list(chosen)):
            if not _is_read_quantized(node.outputs[0], readers, chosen, rules):
                del chosen[node]
    return [(node, index) for node in chosen for index in range(len(node.inputs))]


def _can_be_chosen(node: ir.Node, rules: Rules) -> bool:
    values = [*node.inputs, node.outputs[0]]
    # Without a range it is a constant, or nothing that was calibrated.
    if is_excluded(node, rules) or any(range_of(value) is None for value in values):
        return False
    return not leaves_graph(node.outputs[0], rules)


def _is_quantized(
    value: ir.Value | None,
    quantized: set[ir.Value | None],
    chosen: dict[ir.Node, None],
    rules: Rules,
) -> bool:
    """Whether `value` is quantised, or is carried from values that are."""
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        producer = None if current is None else current.producer()
        if current in quantized or producer in chosen:
            continue
        if producer is None or not is_carrier(producer, rules):
            return False
        pending += [source for _, source in carried_inputs(producer) if source not in seen]
        seen.update(pending)
    return True


def _is_read_quantized(
    value: ir.Value,
    readers: set[tuple[ir.Node, int]],
    chosen: dict[ir.Node, None],
    rules: Rules,
) -> bool:
    return any((node, index) in readers or node in chosen for node, index in _readers(value, rules))


def _readers(value: ir.Value, rules: Rules) -> Iterator[tuple[ir.Node, int]]:
    """Who reads `value`, by itself or through carriers."""
    pending, seen = [value], {value}
    while pending:
        for use in pending.pop().uses():
            yield use.node, use.idx
            if is_carrier(use.node, rules):
                outputs = [output for output in use.node.outputs if output not in seen]
                seen.update(outputs)
                pending += outputs
