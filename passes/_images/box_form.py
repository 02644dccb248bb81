"""What a detector's numbers say of boxes, and the operators that make corners of them.

W. Liu et al., "SSD: Single Shot MultiBox Detector", arXiv:1512.02325, for offsets from prior boxes;
Ultralytics' YOLOv5 for anchors; Z. Ge et al., "YOLOX", arXiv:2107.08430, for cells; Z. Tian et al.,
"FCOS", arXiv:1904.01355, for distances; X. Li et al., "Generalized Focal Loss", arXiv:2006.04388,
for distances as distributions over bins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.tasks.points import grid_points, prior_boxes
from lprc.passes._images.operators import Operators
from lprc.passes._images.sides import around, between, corners_of_centres, parts

Form = Literal[
    "corners",
    "corners-yx",
    "centers",
    "offsets",
    "anchors",
    "cells",
    "distances",
    "distributions",
]

DECODED = ("corners", "corners-yx", "centers")
"""Forms of boxes that the network has decoded."""

WITH_ANCHORS = ("offsets", "anchors")


@dataclass(frozen=True)
class BoxForm:
    """How four numbers (or four distributions) a place become a box.

    Attributes:
        form: What they are.
        size: Width and height of the network's input in pixels.
        normalized: Whether decoded boxes are parts of these.
        strides: Pixels between the cells of each level.
        offset: Of a cell's point within the cell, in strides.
        anchors: Widths and heights in pixels, by level.
        variances: What offsets of centres and of sizes are multiplied with.
        in_strides: Whether distances count in strides rather than pixels.
        bins: Of each distribution.
    """

    form: Form
    size: tuple[int, int]
    normalized: bool
    strides: tuple[int, ...]
    offset: float
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    variances: tuple[float, float]
    in_strides: bool
    bins: int

    @property
    def channels(self) -> int:
        """How many numbers a place has."""
        return 4 * self.bins if self.form == "distributions" else 4

    @property
    def per_cell(self) -> int:
        """Boxes for each cell of a map."""
        counts = {len(level) for level in self.anchors}
        return counts.pop() if self.form in WITH_ANCHORS and len(counts) == 1 else 1

    @property
    def places(self) -> int | None:
        """How many places the levels have; None for decoded boxes, of which there may be any."""
        return None if self.form in DECODED else len(self._grid()[0])

    def build(self, tail: Operators, numbers: ir.Value) -> ir.Value:
        """Corners in pixels of the input, float32 [N, places, 4], of [N, places, channels]."""
        builders: dict[Form, Callable[[Operators, ir.Value], ir.Value]] = {
            "corners": lambda _, boxes: boxes,
            "corners-yx": _turned,
            "centers": corners_of_centres,
            "offsets": self._from_offsets,
            "anchors": self._from_anchors,
            "cells": self._from_cells,
            "distances": self._from_distances,
            "distributions": self._from_distributions,
        }
        boxes = builders[self.form](tail, numbers)
        if not self.normalized:
            return boxes
        sides = tail.constant("input_size", np.array(self.size * 2, np.float32))
        return tail.add("Mul", [boxes, sides], "in_pixels", boxes.shape)

    def _grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Points [places, 2], or priors [places, 4], and the strides [places, 1]."""
        if self.form in WITH_ANCHORS:
            return prior_boxes(self.size, self.strides, self.anchors)
        return grid_points(self.size, self.strides, self.offset)

    def _from_offsets(self, tail: Operators, numbers: ir.Value) -> ir.Value:
        priors, _ = self._grid()
        near, sides = (np.float32(value) for value in self.variances)
        moves, logarithms = parts(tail, numbers, "move", "logarithm")
        centres = _affine(tail, moves, near * priors[:, 2:], priors[:, :2], "centres")
        scaled = _scaled(tail, logarithms, sides, "scaled_logarithms")
        factors = tail.add("Exp", [scaled], "factors", scaled.shape)
        return around(tail, centres, _scaled(tail, factors, priors[:, 2:] / 2, "reach"))

    def _from_anchors(self, tail: Operators, numbers: ir.Value) -> ir.Value:
        priors, steps = self._grid()
        shares = tail.add("Sigmoid", [numbers], "shares", numbers.shape)
        moves, factors = parts(tail, shares, "move", "factor")
        # 2 s - 1 strides from the middle of the cell; (2 s)^2 times the anchor.
        centres = _affine(tail, moves, 2 * steps, priors[:, :2] - steps, "centres")
        squares = tail.add("Mul", [factors, factors], "squares", factors.shape)
        return around(tail, centres, _scaled(tail, squares, 2 * priors[:, 2:], "reach"))

    def _from_cells(self, tail: Operators, numbers: ir.Value) -> ir.Value:
        points, steps = self._grid()
        moves, logarithms = parts(tail, numbers, "move", "logarithm")
        centres = _affine(tail, moves, steps, points, "centres")
        factors = tail.add("Exp", [logarithms], "factors", logarithms.shape)
        return around(tail, centres, _scaled(tail, factors, steps / 2, "reach"))

    def _from_distances(self, tail: Operators, numbers: ir.Value) -> ir.Value:
        points, steps = self._grid()
        if self.in_strides:
            numbers = _scaled(tail, numbers, steps, "pixels")
        before, behind = parts(tail, numbers, "distance_before", "distance_behind")
        middle = tail.constant("points", points)
        return between(tail, middle, before, middle, behind)

    def _from_distributions(self, tail: Operators, numbers: ir.Value) -> ir.Value:
        assert numbers.shape is not None
        batch, places = numbers.shape[0], numbers.shape[1]
        apart = [batch, places, 4, self.bins]
        sides = tail.integers("sides_shape", [0, 0, 4, self.bins])
        logits = tail.add("Reshape", [numbers, sides], "sides", apart)
        shares = tail.add("Softmax", [logits], "shares", apart, attributes={"axis": 3})
        column = tail.constant("bins", np.arange(self.bins, dtype=np.float32)[:, None])
        means = tail.add("MatMul", [shares, column], "means", [batch, places, 4, 1])
        flat = tail.integers("means_shape", [0, 0, 4])
        means = tail.add("Reshape", [means, flat], "distances", [batch, places, 4])
        return self._from_distances(tail, means)


def _turned(tail: Operators, boxes: ir.Value) -> ir.Value:
    order = tail.integers("left_before_top", [1, 0, 3, 2])
    return tail.add("Gather", [boxes, order], "turned", boxes.shape, attributes={"axis": 2})


def _scaled(
    tail: Operators, value: ir.Value, factor: NDArray[Any] | np.float32, name: str
) -> ir.Value:
    numbers = tail.constant(f"{name}_factor", np.asarray(factor, np.float32))
    return tail.add("Mul", [value, numbers], name, value.shape)


def _affine(
    tail: Operators, value: ir.Value, factor: NDArray[Any], shift: NDArray[Any], name: str
) -> ir.Value:
    scaled = _scaled(tail, value, factor, f"{name}_moved")
    start = tail.constant(f"{name}_start", shift.astype(np.float32))
    return tail.add("Add", [scaled, start], name, value.shape)
