"""Weights that start where they were early in training, with the channels that pruning left."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.compiler.training.channels_left import Positions, channels_left
from lprc.compiler.training.initial_weights import refuse_quantised
from lprc.compiler.training.weights import set_array, statistics_of, weights_of
from lprc.core.errors import DataError
from lprc.core.torch_graph.steps import constant_array

Arrays = dict[str, NDArray[Any]]


def rewind(model: ir.Model, early: ir.Model, where: str, whole: ir.Model | None = None) -> None:
    """The weights of `early` under the zeros of `model` (Frankle and Carbin, ICLR 2019).

    Where `model` lost channels, `early` loses the same: which, the trained weights tell.

    Args:
        model: The trained and pruned network; it gets the early weights.
        early: The network early in training, not pruned.
        where: What to call `early` in errors.
        whole: The trained network as it was before channels were pruned; None where none were.

    Raises:
        DataError: A weight that `early` does not have, or not in this shape.
    """
    weights = list(weights_of(model.graph))
    for weight in weights:
        refuse_quantised(weight)
    masks = {weight.name: weight.mask for weight in weights}
    values = [weight.value for weight in weights] + [v for v, _ in statistics_of(model.graph)]
    early_arrays, trained_arrays = _arrays(early), _arrays(model)
    left = {} if whole is None else _left(values, trained_arrays, _arrays(whole))
    for value in values:
        name = str(value.name)
        shape = trained_arrays[name].shape
        array = _early_array(early_arrays.get(name), shape, left.get(name))
        if array is None:
            raise DataError(
                f"it has no weight '{name}' of shape {list(shape)}",
                where=where,
                hint="run the passes on it that the model went through, the lossy ones left out; "
                "where channels were pruned (and nothing reconstructed), --teacher is the model "
                "before that",
            )
        mask = masks.get(name)
        set_array(value, array if mask is None else array * mask)


def _early_array(
    early: NDArray[Any] | None, shape: tuple[int, ...], positions: Positions | None
) -> NDArray[Any] | None:
    if early is None or early.shape == shape:
        return early
    if early.ndim == len(shape) and (early == early.flat[0]).all():
        return np.full(shape, early.flat[0], early.dtype)  # whichever channels are left
    fits = positions is not None and all(
        place.max() < size for place, size in zip(positions, early.shape, strict=True)
    )
    return early[np.ix_(*positions)] if positions is not None and fits else None


def _left(values: list[ir.Value], trained: Arrays, whole: Arrays) -> dict[str, Positions]:
    """Which positions of each weight of the whole network are left, as far as that can be told."""
    positions: dict[str, Positions] = {}
    for name, array in trained.items():
        told = channels_left(array, whole[name]) if name in whole else None
        if told is not None:
            positions[name] = told
    by_neighbours = {
        str(value.name): told
        for value in values
        if str(value.name) not in positions
        and (told := _told_by_neighbours(value, trained, whole, positions)) is not None
    }
    return positions | by_neighbours


def _told_by_neighbours(
    value: ir.Value, trained: Arrays, whole: Arrays, positions: dict[str, Positions]
) -> Positions | None:
    """The positions of a vector with equal numbers, from what the same operator reads beside it.

    The statistics of channels that are always zero are equal, their scales are not.
    """
    array, before = trained[str(value.name)], whole.get(str(value.name))
    if array.ndim != 1 or before is None:
        return None
    for use in value.uses():
        for other in use.node.inputs:
            for place in positions.get(str(other.name), ()) if other is not None else ():
                if (
                    place.shape == array.shape
                    and place.max() < before.size
                    and np.array_equal(before[place], array)
                ):
                    return (place,)
    return None


def _arrays(model: ir.Model) -> Arrays:
    """Weights and statistics by name."""
    arrays: Arrays = {weight.name: weight.start for weight in weights_of(model.graph)}
    for value, _ in statistics_of(model.graph):
        array = constant_array(value)
        assert array is not None
        arrays[str(value.name)] = array
    return arrays
