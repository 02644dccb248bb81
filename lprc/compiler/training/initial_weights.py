"""Where weights start: at random, or where they were early in training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.compiler.training.channels_left import channels_left
from lprc.compiler.training.weights import (
    MEAN,
    Weight,
    set_array,
    statistics_of,
    weights_of,
)
from lprc.core.errors import DataError
from lprc.core.graph import editing
from lprc.core.torch_graph.steps import constant_array


def randomise(model: ir.Model, seed: int) -> None:
    """Kernels and matrices at random (He et al., ICCV 2015); zeros stay, the others as they are.

    The variance counts the weights that are there, so a sparse layer starts as loud as a dense one
    (Evci et al., "Gradient Flow in Sparse Neural Networks", AAAI 2022). Biases become 0, the scales
    of normalisations 1, the statistics of a BatchNormalization 0 and 1.

    Raises:
        DataError: The model is quantised.
    """
    generator = np.random.default_rng(seed)
    for weight in weights_of(model.graph):
        _refuse_quantised(weight)
        start = weight.start
        if start.ndim >= 2:
            kept = start != 0
            per_output = max(1.0, kept.sum() / _outputs(weight))
            random_weights = generator.standard_normal(start.shape) * math.sqrt(2 / per_output)
            set_array(weight.value, (random_weights * kept).astype(np.float32))
        elif _is_bias(weight):
            set_array(weight.value, np.zeros_like(start))
        elif _is_scale(weight):
            set_array(weight.value, np.ones_like(start))
    for statistic, index in statistics_of(model.graph):
        array = _numbers(statistic)
        set_array(statistic, np.zeros_like(array) if index == MEAN else np.ones_like(array))


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
    early_arrays, whole_arrays = _arrays(early), {} if whole is None else _arrays(whole)
    weights = list(weights_of(model.graph))
    for weight in weights:
        _refuse_quantised(weight)
    masks = {weight.name: weight.mask for weight in weights}
    values = [weight.value for weight in weights]
    for value in [*values, *(value for value, _ in statistics_of(model.graph))]:
        name = str(value.name)
        array = _early_array(name, _numbers(value), early_arrays, whole_arrays, where)
        mask = masks.get(name)
        set_array(value, array if mask is None else array * mask)


def _early_array(
    name: str,
    trained: NDArray[Any],
    early_arrays: dict[str, NDArray[Any]],
    whole_arrays: dict[str, NDArray[Any]],
    where: str,
) -> NDArray[Any]:
    early, whole = early_arrays.get(name), whole_arrays.get(name)
    if early is not None and early.shape == trained.shape:
        return early
    positions = None
    if early is not None and whole is not None and early.shape == whole.shape:
        positions = channels_left(trained, whole)
    if early is None or positions is None:
        raise DataError(
            f"it has no weight '{name}' of shape {list(trained.shape)}",
            where=where,
            hint="run the passes on it that the model went through, the lossy ones left out; where "
            "channels were pruned (and nothing reconstructed), --teacher is the model before that",
        )
    return early[np.ix_(*positions)]


def _arrays(model: ir.Model) -> dict[str, NDArray[Any]]:
    """Weights and statistics by name."""
    arrays: dict[str, NDArray[Any]] = {
        weight.name: weight.start for weight in weights_of(model.graph)
    }
    statistics = {str(value.name): _numbers(value) for value, _ in statistics_of(model.graph)}
    return arrays | statistics


def _numbers(value: ir.Value) -> NDArray[Any]:
    array = constant_array(value)
    assert array is not None
    return array


def _refuse_quantised(weight: Weight) -> None:
    if weight.quantised is not None:
        raise DataError(
            f"weight '{weight.name}' is quantised",
            where="--init",
            hint="start before insert-qdq and quantize-weights",
        )


def _users(weight: Weight) -> list[tuple[ir.Node, int]]:
    return [(use.node, use.idx) for use in weight.value.uses()]


def _outputs(weight: Weight) -> int:
    """The number of outputs that a kernel or matrix makes, of its own elements."""
    node, index = _users(weight)[0]
    shape: tuple[int, ...] = weight.start.shape
    if node.op_type == "ConvTranspose":
        return shape[1] * int(editing.attribute(node, "group", 1))
    if node.op_type in ("LSTM", "GRU"):
        return math.prod(shape[:2])
    if node.op_type == "Conv" or (node.op_type == "Gemm" and editing.attribute(node, "transB", 0)):
        return shape[0]
    return shape[-1] if index == 1 else shape[-2]


def _is_scale(weight: Weight) -> bool:
    normalisations = ("BatchNormalization", "InstanceNormalization", "LayerNormalization")
    return all(index == 1 and node.op_type in normalisations for node, index in _users(weight))


def _is_bias(weight: Weight) -> bool:
    return all(index == 2 or node.op_type == "Add" for node, index in _users(weight))
