"""What one quantisation pass tells the next, kept in the model: ranges and weight grids."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

RANGE = "lprc.range"
"""The key in an activation's ``metadata_props``; its value is a JSON list ``[low, high]``."""

GRID = "lprc.grid"
"""The key in a weight's ``metadata_props``; its value is a JSON object, see `Grid`."""


@dataclass(frozen=True)
class Range:
    """The real values of an activation that are worth representing: ``low`` to ``high``."""

    low: float
    high: float

    @property
    def magnitude(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Grid:
    """A weight that is ``scale * integer`` already, by whatever pass rounded it.

    Attributes:
        bits: Of the integers, which are signed and symmetric: ``-(2**(bits-1) - 1)`` upwards.
        axis: The axis of the weight along which `scale` lies.
        block: Elements of `axis` that share a scale; 0 where each element has its own.
        scale: float32; [size of axis] without blocks, else the weight's shape with `axis`
            divided by `block`.
    """

    bits: int
    axis: int
    block: int
    scale: NDArray[np.float32]


def set_range(value: ir.Value, activation_range: Range) -> None:
    """Record the range of an activation."""
    # Adding zero makes 0 of -0.
    value.metadata_props[RANGE] = json.dumps(
        [activation_range.low + 0.0, activation_range.high + 0.0]
    )


def range_of(value: ir.Value | None) -> Range | None:
    """The recorded range of an activation; None where there is none that makes sense."""
    text = None if value is None else value.metadata_props.get(RANGE)
    if text is None:
        return None
    try:
        low, high = (float(number) for number in json.loads(text))
    except (ValueError, TypeError):
        return None
    return Range(low, high) if math.isfinite(low) and math.isfinite(high) and low <= high else None


def set_grid(value: ir.Value, grid: Grid) -> None:
    """Record that a weight lies on a grid."""
    scale = np.asarray(grid.scale, np.float32)
    value.metadata_props[GRID] = json.dumps(
        {
            "bits": grid.bits,
            "axis": grid.axis,
            "block": grid.block,
            "shape": scale.shape,
            "scale": [float(number) for number in scale.reshape(-1)],
        }
    )


def grid_of(value: ir.Value | None) -> Grid | None:
    """The recorded grid of a weight; None where there is none that makes sense."""
    text = None if value is None else value.metadata_props.get(GRID)
    if text is None:
        return None
    try:
        table = json.loads(text)
        scale = np.array(table["scale"], np.float32).reshape(table["shape"])
        grid = Grid(int(table["bits"]), int(table["axis"]), int(table["block"]), scale)
    except (ValueError, TypeError, KeyError):
        return None
    return grid if np.isfinite(scale).all() and (scale > 0).all() else None
