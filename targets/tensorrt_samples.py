"""Samples of sizes that an engine's profiles let through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from lprc.core.running.numerics import Arrays
from lprc.core.running.random_inputs import random_inputs
from lprc.targets.tensorrt_options import Shape

Profiles = Mapping[str, Sequence[Shape]]


def fitting(model: ir.Model, samples: Sequence[Arrays], profiles: Profiles) -> list[Arrays]:
    """Those of `samples` that fit; where none does, one batch of them or of made-up ones."""
    return [each for each in samples if _fits(each, profiles)] or [batch(model, samples, profiles)]


def batch(model: ir.Model, samples: Sequence[Arrays], profiles: Profiles) -> Arrays:
    """As many samples as the profiles let through at once, over and over if they are too few.

    Only where every input has a symbolic batch; else the first sample. Made-up inputs of the usual
    shapes where the samples have other sizes than the profiles.
    """
    inputs = samples[0] if samples else _made_up(model, profiles)
    if samples and _has_batch(model):
        least = max(shapes[0][0] for shapes in profiles.values())
        greatest = min(shapes[2][0] for shapes in profiles.values())
        inputs = _concatenated(samples, least, greatest)
    return inputs if _fits(inputs, profiles) else _made_up(model, profiles)


def _has_batch(model: ir.Model) -> bool:
    shapes = [value.shape for value in model.graph.inputs if not value.is_initializer()]
    return bool(shapes) and all(
        shape is not None and len(shape) > 0 and not isinstance(shape[0], int) for shape in shapes
    )


def _concatenated(samples: Sequence[Arrays], least: int, greatest: int) -> Arrays:
    chosen = [samples[index] for index in range(min(greatest, len(samples)))]
    try:
        rows = {name: np.concatenate([each[name] for each in chosen]) for name in chosen[0]}
    except ValueError:  # samples of several sizes
        return samples[0]
    found = min(map(len, rows.values()))
    order = np.arange(max(least, min(greatest, found))) % max(found, 1)
    return {name: array[order] for name, array in rows.items()}


def _fits(inputs: Arrays, profiles: Profiles) -> bool:
    return all(_within(inputs[name].shape, shapes) for name, shapes in profiles.items())


def _within(shape: tuple[int, ...], shapes: Sequence[Shape]) -> bool:
    least, _, greatest = shapes
    return len(shape) == len(least) and all(
        low <= size <= high for low, size, high in zip(least, shape, greatest, strict=True)
    )


def _made_up(model: ir.Model, profiles: Profiles) -> Arrays:
    usual = model.clone()
    for value in usual.graph.inputs:
        if value.name is not None and value.name in profiles:
            value.shape = ir.Shape(profiles[value.name][1])
    return random_inputs(usual)
