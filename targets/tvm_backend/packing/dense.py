"""Gemm and MatMul of rank 2 with constant weights: a convolution of images of one pixel."""

from __future__ import annotations

from typing import Any

from lprc.targets.tvm_backend.kernels.windows import Window
from lprc.targets.tvm_backend.packed import Value
from lprc.targets.tvm_backend.packing.convolution import Weights, convolved
from lprc.targets.tvm_backend.packing.expressions import shape_of
from lprc.targets.tvm_backend.packing.packer import Handler, Packer


def matmul(packer: Packer, call: Any) -> Value | None:
    """[N, K] by a constant [K, M]."""
    value, shape = packer.packed(packer.take(call.args[0])), shape_of(call)
    if value is None or value.rank != 2 or shape is None or len(shape) != 2:
        return None
    integer = value.quantisation is not None
    weights = Weights.of(packer, call.args[1], integer=integer, axis=1)
    if weights is None or weights.values.ndim != 2:
        return None
    laid = weights.values.T[:, :, None, None]
    return convolved(packer, value, Weights(laid, weights.scale), Window((1, 1)), (1, 1))


HANDLERS: dict[str, Handler] = {"relax.matmul": matmul}
