"""A reshape behind a Transpose as one in front of it, where axes that it mixes lie together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from lprc.passes._views.sizes import ONE, Shape, Size, Sizes, permutation, quotient


@dataclass(frozen=True)
class Plan:
    """``Transpose(Reshape(x, shape), perm)``."""

    shape: Shape
    perm: tuple[int, ...]


def before_transpose(transpose: ir.Node, reshaped: ir.Value, sizes: Sizes) -> Plan | None:
    """How to get `reshaped`, a reshape of what `transpose` puts out, the other way round."""
    before, after = sizes.of(transpose.inputs[0]), sizes.of(reshaped)
    perm = permutation(transpose)
    if before is None or after is None or perm is None or len(perm) != len(before):
        return None
    pairs = blocks([before[axis] for axis in perm], after)
    if pairs is None:
        return None
    # Each block: the axis of the Transpose's input that it begins with, and its axes behind.
    moved: list[tuple[int, range]] = []
    for left, right in pairs:
        axes = [perm[place] for place in left if before[perm[place]] != ONE]
        lie_together = _between_are_ones(axes, before)
        if not lie_together:
            return None
        if axes:
            moved.append((axes[0], right))
        elif right:
            # Ones alone may lie anywhere.
            moved.append((moved[-1][0] if moved else -1, right))
    order = sorted(range(len(moved)), key=lambda index: moved[index][0])
    shape: list[Size] = []
    place_of: dict[int, int] = {}
    for index in order:
        for axis in moved[index][1]:
            place_of[axis] = len(shape)
            shape.append(after[axis])
    return Plan(tuple(shape), tuple(place_of[axis] for axis in range(len(after))))


def _between_are_ones(axes: Sequence[int], before: Shape) -> bool:
    """Whether `axes` ascend, with nothing but axes of size 1 between them."""
    if list(axes) != sorted(axes):
        return False
    between = set(range(axes[0], axes[-1])) - set(axes) if axes else set()
    return all(before[axis] == ONE for axis in between)


def blocks(old: Sequence[Size], new: Shape) -> list[tuple[range, range]] | None:
    """The shortest runs of axes of two shapes that hold equally many elements; None if unclear.

    Ones at the end of a run belong to the next.
    """
    pairs = []
    left = right = 0
    while left < len(old) or right < len(new):
        start = left, right
        rest_old, rest_new = ONE, ONE
        while True:
            if rest_old == rest_new and (left, right) != start:
                break
            if left < len(old) and (quotient(rest_new, rest_old) is not None):
                rest_old, left = _times(rest_old, old[left]), left + 1
            elif right < len(new) and quotient(rest_old, rest_new) is not None:
                rest_new, right = _times(rest_new, new[right]), right + 1
            else:
                return None
        pairs.append((range(start[0], left), range(start[1], right)))
    return pairs


def _times(size: Size, other: Size) -> Size:
    return Size(size.factor * other.factor, tuple(sorted(size.symbols + other.symbols)))
