"""How the values around a node are quantised: type, scale, zero-point and range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.quantization.qdq import (
    Qdq,
    element_type,
    is_bias,
    is_constant,
    qdq,
    quantized_type,
    roots,
    uses,
)


@dataclass(frozen=True)
class Quantization:
    """How one value beside a node is quantised.

    Attributes:
        value: Its name before it is quantised; of a constant, that of its integers.
        role: ``activation``, ``weight``, ``bias`` or ``output``.
        node: The QuantizeLinear or DequantizeLinear that says so; the operator itself where it
            computes on integers; empty for a range that a pass has recorded in the model.
        dtype: The type of the integers, for instance ``INT8``; None where it is not known.
        axis: The axis that has several scales; None for one scale.
        scales: How many scales there are; 0 where they are not constant, or not decided.
        scale: The smallest and the largest scale; None as above.
        zero_point: The smallest and the largest zero-point; None as above.
        range: The smallest and the largest real value that can be said; None as above.
    """

    value: str
    role: str
    node: str
    dtype: str | None
    axis: int | None = None
    scales: int = 0
    scale: tuple[float, float] | None = None
    zero_point: tuple[int, int] | None = None
    range: tuple[float, float] | None = None


def around(node: ir.Node) -> list[Quantization]:
    """What is known of a node's inputs, in order, then of its outputs; itself if it is a Q or DQ.

    Operators that only move elements are looked through.
    """
    own = qdq(node)
    if own is not None:
        return [_of_pair(own, "weight" if is_constant(own.data) else "activation")]
    if node.op_type in _INTEGER:
        return [_of_operator(node, *place) for place in _INTEGER[node.op_type]]
    return list(dict.fromkeys([*_inputs(node), *_outputs(node)]))


_INTEGER: dict[str, tuple[tuple[str, int, int, int], ...]] = {
    "QLinearConv": (("activation", 0, 1, 2), ("weight", 3, 4, 5), ("output", -1, 6, 7)),
    "QLinearMatMul": (("activation", 0, 1, 2), ("weight", 3, 4, 5), ("output", -1, 6, 7)),
}
"""The operators on integers with the places of a value (-1 is the output), scale, zero-point."""


def _inputs(node: ir.Node) -> Iterator[Quantization]:
    for index, value in enumerate(node.inputs):
        constant = value is not None and is_constant(value)
        role = "bias" if is_bias(node, index) else "weight" if constant else "activation"
        for root in roots(value):
            pair = qdq(root.producer())
            if pair is not None and not pair.quantizes:
                yield _of_pair(pair, role)
        recorded = _recorded(value, role)
        if recorded is not None:
            yield recorded


def _outputs(node: ir.Node) -> Iterator[Quantization]:
    for value in node.outputs:
        for user, _ in uses(value):
            found = qdq(user)
            if found is not None and found.quantizes:
                yield _of_pair(found, "output")
        recorded = _recorded(value, "output")
        if recorded is not None:
            yield recorded


def _recorded(value: ir.Value | None, role: str) -> Quantization | None:
    found = range_of(value)
    if value is None or found is None:
        return None
    return Quantization(value.name or "", role, "", None, range=(found.low, found.high))


def _of_pair(found: Qdq, role: str) -> Quantization:
    return _quantization(
        _float_value(found),
        role,
        found.node,
        found.dtype,
        found.scale,
        found.zero_point,
        found.axis,
    )


def _float_value(found: Qdq) -> ir.Value | None:
    """The value that is quantised; the integers where the graph holds nothing else."""
    if found.quantizes or found.data is None:
        return found.data
    before = qdq(found.data.producer())
    return before.data if before is not None and before.quantizes else found.data


def _of_operator(node: ir.Node, role: str, index: int, scale: int, zero: int) -> Quantization:
    value = node.outputs[0] if index < 0 else node.inputs[index]
    zero_point = editing.input_at(node, zero)
    dtype = element_type(zero_point) or quantized_type(value)
    axis = 0 if node.op_type == "QLinearConv" else -1
    return _quantization(value, role, node, dtype, editing.input_at(node, scale), zero_point, axis)


def _quantization(
    value: ir.Value | None,
    role: str,
    node: ir.Node,
    dtype: ir.DataType | None,
    scale: ir.Value | None,
    zero_point: ir.Value | None,
    axis: int,
) -> Quantization:
    name = (None if value is None else value.name) or ""
    scales, zeros = editing.constant(scale), editing.constant(zero_point)
    kind = None if dtype is None else dtype.name
    if scales is None or (zeros is None and zero_point is not None) or not scales.size:
        return Quantization(name, role, node.name or "", kind)
    steps = scales.astype(np.float64)
    offsets = np.zeros(1) if zeros is None else zeros.astype(np.float64)
    return Quantization(
        name,
        role,
        node.name or "",
        kind,
        axis=axis if scales.size > 1 else None,
        scales=int(scales.size),
        scale=(float(steps.min()), float(steps.max())),
        zero_point=(int(offsets.min()), int(offsets.max())),
        range=None if dtype is None else _range(dtype, steps, offsets),
    )


def _range(
    dtype: ir.DataType, steps: np.ndarray, offsets: np.ndarray
) -> tuple[float, float] | None:
    if not dtype.is_integer():
        return None
    low, high = (-(1 << (dtype.bitwidth - 1)), (1 << (dtype.bitwidth - 1)) - 1)
    if not dtype.is_signed():
        low, high = 0, (1 << dtype.bitwidth) - 1
    if offsets.size not in (1, steps.size):
        return None
    offsets = offsets.reshape(steps.shape) if offsets.size == steps.size else offsets
    return float(((low - offsets) * steps).min()), float(((high - offsets) * steps).max())
