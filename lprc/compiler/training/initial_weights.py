"""Where weights start: at random, or where they were early in training."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from lprc.compiler.training.weights import Weight, set_array, weights_of
from lprc.core.errors import DataError
from lprc.core.graph import editing


def randomise(model: ir.Model, seed: int) -> None:
    """Kernels and matrices at random (He et al., ICCV 2015); zeros stay, the others as they are.

    The variance counts the weights that are there, so a sparse layer starts as loud as a dense one
    (Evci et al., "Gradient Flow in Sparse Neural Networks", AAAI 2022). Biases become 0.

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


def rewind(model: ir.Model, early: ir.Model, where: str) -> None:
    """The weights of `early` under the zeros of `model` (Frankle and Carbin, ICLR 2019).

    Raises:
        DataError: A weight that `early` does not have, or not in this shape.
    """
    early_weights = {weight.name: weight for weight in weights_of(early.graph)}
    for weight in weights_of(model.graph):
        _refuse_quantised(weight)
        early_weight = early_weights.get(weight.name)
        if early_weight is None or early_weight.start.shape != weight.start.shape:
            shape = list(weight.start.shape)
            raise DataError(
                f"it has no weight '{weight.name}' of shape {shape}",
                where=where,
                hint="run the passes on it that the model went through, the lossy ones left out",
            )
        array = early_weight.start
        set_array(weight.value, array if weight.mask is None else array * weight.mask)


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


def _is_bias(weight: Weight) -> bool:
    return all(index == 2 or node.op_type == "Add" for node, index in _users(weight))
