"""Between what a Clip keeps its input, in the form of every operator set."""

from __future__ import annotations

import math

import onnx_ir as ir

from lprc.core.graph import editing

Bounds = tuple[float, float]


def clip_bounds(node: ir.Node) -> Bounds | None:
    """The least and the largest number that a Clip puts out, infinite where it has no such bound.

    They are attributes below operator set 11, and inputs since. None where one is not constant, or
    no number.
    """
    numbers = []
    for index, name, unbounded in ((1, "min", -math.inf), (2, "max", math.inf)):
        value = editing.input_at(node, index)
        bound = editing.attribute(node, name, unbounded) if value is None else editing.scalar(value)
        if bound is None or math.isnan(bound):
            return None
        numbers.append(bound)
    low, high = numbers
    return low, high
