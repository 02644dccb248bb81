"""Boxes as left, top, right and bottom: what operators make them of."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.passes._images.operators import Operators


def parts(tail: Operators, boxes: ir.Value, front: str, back: str) -> tuple[ir.Value, ir.Value]:
    """The first two and the last two of four numbers [N, boxes, 4], each [N, boxes, 2].

    Args:
        tail: Writes the operators.
        boxes: The numbers.
        front: What the first two are called, in the singular.
        back: What the last two are called.
    """
    assert boxes.shape is not None
    shape = [*boxes.shape[:2], 2]
    first, second = tail.integers(front, [0, 1]), tail.integers(back, [2, 3])
    return (
        tail.add("Gather", [boxes, first], f"{front}s", shape, attributes={"axis": 2}),
        tail.add("Gather", [boxes, second], f"{back}s", shape, attributes={"axis": 2}),
    )


def corners_of_centres(tail: Operators, boxes: ir.Value) -> ir.Value:
    """Corners [N, boxes, 4] of boxes that are x and y of their centre, width and height."""
    centres, extents = parts(tail, boxes, "centre", "extent")
    half = tail.constant("half", np.array(0.5, np.float32))
    return around(tail, centres, tail.add("Mul", [extents, half], "reach", extents.shape))


def around(tail: Operators, centres: ir.Value, reach: ir.Value) -> ir.Value:
    """Corners [N, boxes, 4] of boxes that reach so far from their centres; both [N, boxes, 2]."""
    return between(tail, centres, reach, centres, reach)


def between(
    tail: Operators,
    low_points: ir.Value,
    low_reach: ir.Value,
    high_points: ir.Value,
    high_reach: ir.Value,
) -> ir.Value:
    """Corners [N, boxes, 4]: as far in front of points, and behind points, as two reaches say.

    Points may be [boxes, 2] for every image; reaches are [N, boxes, 2].
    """
    assert low_reach.shape is not None
    low = tail.add("Sub", [low_points, low_reach], "low", low_reach.shape)
    high = tail.add("Add", [high_points, high_reach], "high", high_reach.shape)
    shape = [*low_reach.shape[:2], 4]
    return tail.add("Concat", [low, high], "corners", shape, attributes={"axis": 2})
