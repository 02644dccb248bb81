"""Statistics of tensors, and of how one differs from another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph.constants import tensor_bytes
from lprc.core.graph_diff.result import TensorStatistics


def statistics(tensor: ir.TensorProtocol, type_text: str) -> TensorStatistics:
    """The statistics of a tensor whose element type and shape are `type_text`.

    Infinite and NaN elements are left out of minimum, maximum and mean.
    """
    size = tensor_bytes(tensor)
    values = _numbers(tensor)
    if values is None or not values.size:
        return TensorStatistics(type_text, size)
    sparsity = 1 - float(np.count_nonzero(values)) / values.size
    finite = values[np.isfinite(values)]
    if not finite.size:
        return TensorStatistics(type_text, size, sparsity=sparsity)
    return TensorStatistics(
        type_text,
        size,
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        mean=float(finite.mean()),
        sparsity=sparsity,
    )


def compare_values(
    before: ir.TensorProtocol, after: ir.TensorProtocol
) -> tuple[float | None, bool]:
    """The signal-to-noise ratio in dB of a change, and whether it only reorders the values.

    The ratio is that of ``sum(before²)`` to ``sum((before - after)²)``; None where the shapes
    differ, where values are not finite real numbers, or where either sum is zero.
    """
    left, right = _numbers(before), _numbers(after)
    if left is None or right is None or left.size != right.size:
        return None, False
    changed = not np.array_equal(left.reshape(-1), right.reshape(-1))
    reordered = changed and bool(np.array_equal(np.sort(left, None), np.sort(right, None)))
    if left.shape != right.shape or not (np.isfinite(left).all() and np.isfinite(right).all()):
        return None, reordered
    signal = float(np.square(left).sum())
    noise = float(np.square(left - right).sum())
    if signal == 0 or noise == 0 or not math.isfinite(signal) or not math.isfinite(noise):
        return None, reordered
    return 10 * math.log10(signal / noise), reordered


def _numbers(tensor: ir.TensorProtocol) -> NDArray[np.float64] | None:
    if tensor.dtype == ir.DataType.STRING:
        return None
    array: NDArray[Any] = np.asarray(tensor.numpy())
    return None if np.iscomplexobj(array) else array.astype(np.float64)
