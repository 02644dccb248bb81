"""Weights that start at random."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from lprc.compiler.training.weights import (
    MEAN,
    Weight,
    set_array,
    statistics_of,
    weights_of,
)
from lprc.core.errors import DataError
from lprc.core.graph import editing, operators
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
        refuse_quantised(weight)
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
        array = constant_array(statistic)
        assert array is not None
        set_array(statistic, np.zeros_like(array) if index == MEAN else np.ones_like(array))


def refuse_quantised(weight: Weight) -> None:
    """Raise DataError for a weight that is stored as integers."""
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
    return all(
        index == 1
        and (node.op_type == "BatchNormalization" or node.op_type in operators.NORMALIZATIONS)
        for node, index in _users(weight)
    )


def _is_bias(weight: Weight) -> bool:
    return all(index == 2 or node.op_type == "Add" for node, index in _users(weight))
