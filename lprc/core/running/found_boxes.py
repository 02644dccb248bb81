"""Boxes that a graph has chosen, and whether another run chose the same ones.

A last digit decides which of two weak boxes comes first, or whether one is there: rows are compared
as sets then, and weak boxes count little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.subgraphs import values_read
from lprc.core.running.numerics import Arrays

_COLUMNS = 6
"""x1, y1, x2, y2, score, class: the rows of embed-postprocessing."""

_SAME = 0.5
"""Intersection over union from which two boxes of a class are one."""


def outputs_of_boxes(model: ir.Model) -> frozenset[str]:
    """The outputs, by name, that are rows of boxes behind NonMaxSuppression, [N, rows, 6]."""
    behind: set[ir.Value] = set()
    for node in model.graph:
        if editing.is_op(node, "NonMaxSuppression") or not behind.isdisjoint(values_read(node)):
            behind.update(node.outputs)
    return frozenset(
        str(value.name)
        for value in model.graph.outputs
        if value in behind
        and editing.rank(value) == 3
        and editing.dimension(value, 2) == _COLUMNS
        and value.dtype == ir.DataType.FLOAT
    )


def share_of_other_boxes(name: str, runs: Sequence[tuple[Arrays, Arrays, Arrays]]) -> float:
    """Which part of all scores, over both sides, is of boxes that the other side does not have.

    It has them where a box of the same class overlaps by half. Where the columns are others than
    those of embed-postprocessing nothing overlaps.

    Args:
        name: The output.
        runs: Inputs, the outputs that were wanted, and those that came.

    Returns:
        0 to 1; 1 for other shapes.
    """
    missed = total = 0.0
    for _, wanted, came in runs:
        left, right = np.asarray(wanted[name]), np.asarray(came.get(name))
        if left.shape != right.shape or left.dtype != right.dtype:
            return 1.0
        for one, other in zip(left, right, strict=True):
            pairs = _are_same(_filled(one), _filled(other))
            for rows, has_pair in ((one, pairs.any(axis=1)), (other, pairs.any(axis=0))):
                scores = _filled(rows)[:, 4].astype(np.float64)
                missed, total = missed + scores[~has_pair].sum(), total + scores.sum()
    return float(missed / total) if total > 0 else 0.0


def _filled(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows that have a box."""
    return rows[rows[:, 4] >= 0]


def _are_same(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """bool [rows, other rows]."""
    left, right = one[:, None].astype(np.float64), other[None].astype(np.float64)
    low = np.maximum(left[..., :2], right[..., :2])
    high = np.minimum(left[..., 2:4], right[..., 2:4])
    both = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [np.clip(box[..., 2:4] - box[..., :2], 0, None).prod(axis=-1) for box in (left, right)]
    overlaps = both >= _SAME * (areas[0] + areas[1] - both)
    same: NDArray[np.bool_] = overlaps & (both > 0) & (left[..., 5] == right[..., 5])
    return same
