"""N:M sparsity of weights: N values that are not zero in each M along the input channels.

The form that sparse tensor cores take with 2:4 (Mishra et al., "Accelerating Sparse Deep Neural
Networks", 2021, https://arxiv.org/abs/2104.08378).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core import editing


@dataclass(frozen=True)
class Weight:
    """The weight of a linear operator.

    Attributes:
        node: The operator.
        array: The weight, in float or quantised.
        axis: Of its input channels.
    """

    node: ir.Node
    array: NDArray[Any]
    axis: int

    def has_pattern(self, kept: int, group: int) -> bool:
        """Whether at most `kept` of each `group` input channels are not zero.

        A weight whose input channels are no multiple of `group` does not have it.
        """
        rows = np.moveaxis(self.array, self.axis, -1)
        if not rows.size or rows.shape[-1] % group:
            return False
        grouped = rows.reshape(*rows.shape[:-1], -1, group)
        return bool((np.count_nonzero(grouped, axis=-1) <= kept).all())


def weights(model: ir.Model) -> Iterator[Weight]:
    """The constant weights of Conv, Gemm and MatMul, behind DequantizeLinear too, in graph order.

    Only those of which a group of input channels is multiplied at once: a depthwise Conv has one.
    """
    for graph in editing.graphs(model):
        for node in graph:
            found = _weight(node) if editing.is_op(node, "Conv", "Gemm", "MatMul") else None
            if found is not None:
                yield found


def _weight(node: ir.Node) -> Weight | None:
    for index in (1,) if node.op_type == "Conv" else (1, 0):
        array = _constant(editing.input_at(node, index))
        if array is not None and array.ndim >= 2:
            axis = _input_axis(node, index, array.ndim)
            return None if array.shape[axis] == 1 else Weight(node, array, axis)
    return None


def _constant(value: ir.Value | None) -> NDArray[Any] | None:
    producer = None if value is None else value.producer()
    if producer is not None and editing.is_op(producer, "DequantizeLinear"):
        value = editing.input_at(producer, 0)
    return editing.constant(value)


def _input_axis(node: ir.Node, index: int, rank: int) -> int:
    if node.op_type == "Conv":
        return 1
    if node.op_type == "Gemm":
        transposed = bool(editing.attribute(node, "transB" if index else "transA", 0))
        return index if transposed else 1 - index
    return rank - 2 if index else rank - 1
