"""Inputs drawn by a seed: smooth images as cameras see them, waves, integers and constants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sample = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Input:
    """What one input of a network is given.

    Attributes:
        shape: Sizes of one sample, its batch in front.
        below: Integers from 0 to below this one; 0 for smooth numbers.
        value: The same number everywhere, in place of anything drawn.
        scale: What smooth numbers are multiplied by.
        shift: What is added to them behind that.
        dtype: Element type; empty for float32, or int64 where there are integers.
    """

    shape: tuple[int, ...]
    below: int = 0
    value: int | None = None
    scale: float = 1.0
    shift: float = 0.0
    dtype: str = ""

    def drawn(self, generator: np.random.Generator) -> NDArray[Any]:
        """One sample."""
        if self.value is not None:
            return np.full(self.shape, self.value, self.dtype or "int64")
        if self.below:
            return generator.integers(0, self.below, self.shape).astype(self.dtype or "int64")
        waves = smooth(self.shape, generator) * self.scale + self.shift
        return waves.astype(self.dtype or "float32")


def inputs_path(model: Path) -> Path:
    """Where it is written what a network's inputs take."""
    return model.with_suffix(".inputs.json")


def write_inputs(model: Path, inputs: Mapping[str, Input]) -> None:
    """Write beside a network what its inputs take."""
    document = {name: asdict(each) for name, each in inputs.items()}
    inputs_path(model).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_inputs(model: Path) -> dict[str, Input]:
    """What `write_inputs` wrote."""
    document = json.loads(inputs_path(model).read_text(encoding="utf-8"))
    return {
        name: Input(**{**fields, "shape": tuple(fields["shape"])})
        for name, fields in document.items()
    }


def samples(inputs: Mapping[str, Input], count: int, seed: int) -> list[Sample]:
    """`count` samples, arrays by input name."""
    generator = np.random.default_rng(seed)
    return [{name: value.drawn(generator) for name, value in inputs.items()} for _ in range(count)]


def smooth(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    """Float32 of `shape` with a mean near 0 and a deviation near 1, smooth along its last two axes.

    Light and shade at three scales, a little noise; each channel shares most of it with the others,
    as colours do. Fewer than three axes are smooth along the last one only.
    """
    spatial = shape[-2:] if len(shape) > 2 else shape[-1:]
    leading = shape[: len(shape) - len(spatial)]
    total = np.zeros(shape)
    for cells, strength in ((3, 0.8), (8, 0.5), (24, 0.25)):
        common = _waves((*leading[:1], *(1,) * len(leading[1:])), spatial, cells, generator)
        own = _waves(leading, spatial, cells, generator)
        total = total + strength * (0.8 * common + 0.4 * own)
    total = total + generator.normal(0, 0.05, shape)
    return total.astype(np.float32)


def _waves(
    leading: tuple[int, ...],
    spatial: tuple[int, ...],
    cells: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Normal values on a grid of `cells` an axis, interpolated to `spatial`."""
    grid = generator.normal(0, 1, (*leading, *(min(cells, size) for size in spatial)))
    for axis, size in zip(range(-len(spatial), 0), spatial, strict=True):
        grid = np.moveaxis(_interpolated(np.moveaxis(grid, axis, -1), size), -1, axis)
    return grid


def _interpolated(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Linear interpolation along the last axis."""
    points = values.shape[-1]
    if points == size:
        return values
    place = np.linspace(0, points - 1, size)
    left = np.minimum(place.astype(np.int64), max(points - 2, 0))
    right = np.minimum(left + 1, points - 1)
    weight = place - left
    return values[..., left] * (1 - weight) + values[..., right] * weight
