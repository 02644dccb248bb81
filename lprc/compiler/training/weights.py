"""The trainable weights of a graph: which they are, and how they go back into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.provenance import describe
from lprc.core.torch_graph.operators.quantisation import dequantize, quantize
from lprc.core.torch_graph.steps import constant_array

_WEIGHTS = {
    "Add": (0, 1),
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "GRU": (1, 2, 3),
    "Gemm": (0, 1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
}
"""Which inputs of an operator are weights where they are constant."""

MEAN, _VARIANCE = 3, 4
"""Inputs of BatchNormalization."""


@dataclass(frozen=True)
class Quantised:
    """How a weight is stored as integers.

    Attributes:
        scale: float32, one or one a channel.
        zero_point: In the weight's own type; None for 0.
        axis: Of the channels.
        dtype: Of the stored integers.
    """

    scale: torch.Tensor
    zero_point: torch.Tensor | None
    axis: int
    dtype: np.dtype[Any]

    def integers(self, latent: torch.Tensor) -> torch.Tensor:
        """The stored integers as floats, with a straight-through gradient."""
        if self.dtype.itemsize > 1:  # a bias: as good as not quantised
            return latent / self.scale
        return quantize(latent, self.scale, self.zero_point, self.axis, self.dtype == np.uint8)

    def real(self, latent: torch.Tensor) -> torch.Tensor:
        """What the network computes with: the latent weight, rounded."""
        return dequantize(self.integers(latent), self.scale, self.zero_point, self.axis)


@dataclass
class Weight:
    """One trainable tensor.

    Attributes:
        value: The initialiser (or Constant) that holds it.
        name: What stands for it in the graph: its own name, or that of the DequantizeLinear's
            output.
        start: Its real numbers when training begins, float32.
        quantised: Of a stored integer weight; None for a float one.
    """

    value: ir.Value
    name: str
    start: NDArray[np.float32]
    quantised: Quantised | None = None

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Where it may change: zeros of a matrix or a kernel stay zeros; None for everywhere."""
        if self.start.ndim < 2 or self.start.all():
            return None
        return np.asarray(self.start != 0)

    def store(self, latent: torch.Tensor) -> None:
        """Put trained numbers into the graph."""
        if self.quantised is None:
            array = latent.detach().cpu().numpy()
        else:
            whole = self.quantised.integers(latent).detach().cpu().numpy()
            array = np.rint(whole).astype(self.quantised.dtype)
        set_array(self.value, np.ascontiguousarray(array))


def set_array(value: ir.Value, array: NDArray[Any]) -> None:
    """Give a constant another array of the same shape and type."""
    tensor = ir.tensor(array, name=value.name)
    producer = value.producer()
    if producer is None:
        value.const_value = tensor
        return
    producer.attributes["value"] = ir.AttrTensor("value", tensor)


def weights_of(graph: ir.Graph) -> Iterator[Weight]:
    """The trainable weights of `graph`, each once, in the order of their use.

    Raises:
        UsageError: A weight that is not float32.
    """
    seen: set[ir.Value] = set()
    for node in graph:
        if node.domain not in editing.ONNX_DOMAIN:
            continue
        for index in _WEIGHTS.get(node.op_type, ()):
            value = editing.input_at(node, index)
            if value is None or value in seen:
                continue
            seen.add(value)
            weight = _weight(node, value)
            if weight is not None:
                yield weight


def statistics_of(graph: ir.Graph) -> Iterator[tuple[ir.Value, int]]:
    """The constant means and variances of BatchNormalizations, and which input they are."""
    for node in graph:
        if editing.is_op(node, "BatchNormalization"):
            for index in (MEAN, _VARIANCE):
                value = editing.input_at(node, index)
                if value is not None and constant_array(value) is not None:
                    yield value, index


def _weight(node: ir.Node, value: ir.Value) -> Weight | None:
    producer = value.producer()
    if editing.is_op(producer, "DequantizeLinear"):
        assert producer is not None
        return _stored_as_integers(producer, value)
    array = constant_array(value)
    if array is None or array.dtype.kind != "f" or (node.op_type == "Add" and array.size == 1):
        return None
    if array.dtype != np.float32:
        raise UsageError(
            f"weight '{value.name}' is {array.dtype}; training needs float32",
            where=describe(node),
            hint="fine-tune before convert-fp16",
        )
    return Weight(value, str(value.name), array)


def _stored_as_integers(node: ir.Node, output: ir.Value) -> Weight | None:
    stored, scale, zero_point = (editing.input_at(node, index) for index in range(3))
    array, scales = constant_array(stored), constant_array(scale)
    if array is None or scales is None or stored is None or array.dtype.itemsize not in (1, 4):
        return None
    if scales.dtype != np.float32 or editing.attribute(node, "block_size", 0):
        return None
    points = constant_array(zero_point)
    axis = int(editing.attribute(node, "axis", 1))
    form = Quantised(
        torch.from_numpy(np.array(scales)),
        None if points is None else torch.from_numpy(np.array(points)),
        axis,
        array.dtype,
    )
    real = dequantize(torch.from_numpy(np.array(array)), form.scale, form.zero_point, axis)
    return Weight(stored, str(output.name), real.numpy(), form)
