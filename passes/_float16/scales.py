"""Quantisation scales in float16, whose normal numbers end at 2^-14.

TensorRT wants float16 scales where the operators around are float16: a Cast between
DequantizeLinear and what reads it may cost the integer kernel. NVIDIA's Model Optimizer gives
Q/DQ the same form (https://github.com/NVIDIA/TensorRT-Model-Optimizer, modelopt/onnx/utils.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.quantization.affine import expand
from lprc.core.quantization.qdq import Qdq, qdq, roots
from lprc.passes._float16.fits import LARGEST, ROUNDING, SMALLEST_NORMAL

_WEIGHTS = (ir.DataType.INT4, ir.DataType.INT8)


class Raised(NamedTuple):
    """A weight whose small scales are 2^-14.

    Attributes:
        integers: In the weight's shape and type.
        scale: float32, in the scale's shape.
    """

    integers: NDArray[Any]
    scale: NDArray[np.float32]


def scale_misfit(node: ir.Node) -> str | None:
    """Why a QuantizeLinear or DequantizeLinear can't have a float16 scale; None if it can."""
    quantizer = qdq(node)
    assert quantizer is not None
    scale = editing.constant(quantizer.scale)
    if scale is None:
        return "the scale is not constant"
    if not bool(((scale > 0) & (scale <= LARGEST)).all()):
        return "the scale does not fit float16"
    if bool((scale < SMALLEST_NORMAL).any()) and raised(node) is None:
        return "the scale does not fit float16"
    if not quantizer.quantizes and _largest(quantizer, scale) > LARGEST:
        return "dequantised values exceed float16"
    return None


def raised(node: ir.Node) -> Raised | None:
    """The constant weight of a DequantizeLinear with its small scales raised to 2^-14.

    Integers are rounded anew. None if that moves the weight by more than float16 may move
    weights at all (see `ROUNDING`), or if it is no symmetric int8 or int4 constant.
    """
    dequantizer = qdq(node)
    if dequantizer is None or dequantizer.quantizes or dequantizer.dtype not in _WEIGHTS:
        return None
    integers, scale = editing.constant(dequantizer.data), editing.constant(dequantizer.scale)
    if (
        integers is None
        or scale is None
        or _zero_point(dequantizer) is None
        or not (scale > 0).all()
    ):
        return None
    axis = (
        None if scale.size == 1 and not dequantizer.block_size else dequantizer.axis % integers.ndim
    )
    higher = np.maximum(scale, np.float32(SMALLEST_NORMAL))
    old, new = (
        expand(
            factor.reshape(()) if axis is None else factor,
            integers.shape,
            axis,
            dequantizer.block_size,
        )
        for factor in (scale, higher)
    )
    exact = integers.astype(np.float64) * old
    rounded = np.rint(exact / new)
    moved = rounded * new - exact
    if float(np.square(moved).sum()) > ROUNDING**2 * float(np.square(exact).sum()):
        return None
    return Raised(rounded.astype(integers.dtype), higher.astype(np.float32))


def raise_scales(graph: ir.Graph, nodes: Iterable[ir.Node]) -> Iterator[ir.Node]:
    """Raise the small scales of the DequantizeLinear nodes among `nodes`; all can be raised.

    Yields:
        Constant nodes that may be dead now.
    """
    done: dict[tuple[ir.Value, ir.Value], tuple[ir.Value, ir.Value]] = {}
    for node in nodes:
        if not editing.is_op(node, "DequantizeLinear"):
            continue
        data, scale = node.inputs[0], node.inputs[1]
        array = editing.constant(scale)
        if data is None or scale is None or array is None or (array >= SMALLEST_NORMAL).all():
            continue
        if (data, scale) not in done:
            new = raised(node)
            assert new is not None
            done[data, scale] = (
                editing.add_initializer(graph, f"{data.name}_raised", new.integers),
                editing.add_initializer(graph, f"{scale.name}_raised", new.scale),
            )
        for index, value in enumerate(done[data, scale]):
            node.replace_input_with(index, value)
        for value in (data, scale):
            editing.remove_dead_initializer(value)
            producer = value.producer()
            if producer is not None:
                yield producer


def level_pairs(graph: ir.Graph) -> Iterator[ir.Node]:
    """Let Q and DQ of one value have one scale where float16 has rounded that of either.

    Yields:
        Constant nodes that may be dead now.
    """
    rounded: dict[ir.Value, ir.Value] = {}
    for group in _pairs(graph):
        scales = [node.inputs[1] for node in group]
        if not any(scale is not None and scale.dtype == ir.DataType.FLOAT16 for scale in scales):
            continue
        for node, scale in zip(group, scales, strict=True):
            array = editing.constant(scale)
            if scale is None or array is None or array.dtype != np.float32:
                continue
            if scale not in rounded:
                near = array.astype(np.float16).astype(np.float32)
                rounded[scale] = editing.add_initializer(graph, f"{scale.name}_rounded", near)
            node.replace_input_with(1, rounded[scale])
            editing.remove_dead_initializer(scale)
            producer = scale.producer()
            if producer is not None:
                yield producer


def _pairs(graph: ir.Graph) -> Iterator[list[ir.Node]]:
    """The QuantizeLinear and DequantizeLinear nodes that share quantised values."""
    beside: dict[ir.Node, list[ir.Node]] = {}
    for node in graph:
        if not editing.is_op(node, "DequantizeLinear"):
            continue
        for root in roots(node.inputs[0]):
            producer = root.producer()
            if editing.is_op(producer, "QuantizeLinear"):
                assert producer is not None
                beside.setdefault(node, []).append(producer)
                beside.setdefault(producer, []).append(node)
    seen: set[ir.Node] = set()
    for start in beside:
        group, pending = [], [start]
        while pending:
            node = pending.pop()
            if node not in seen:
                seen.add(node)
                group.append(node)
                pending += beside[node]
        if group:
            yield group


def _zero_point(node: Qdq) -> float | None:
    """0 where the zero point is zero or left out."""
    if node.zero_point is None:
        return 0.0
    array = editing.constant(node.zero_point)
    return None if array is None or array.any() else 0.0


def _largest(node: Qdq, scale: NDArray[Any]) -> float:
    """The largest magnitude that a DequantizeLinear can put out."""
    largest = float(scale.max())
    integers = editing.constant(node.data)
    if integers is not None and integers.size and _zero_point(node) is not None:
        return largest * max(abs(int(integers.min())), abs(int(integers.max())))
    if node.dtype is None or not node.dtype.is_integer():
        return 0.0  # not known, and then as good as fitting
    bounds = node.dtype.max, node.dtype.min
    whole = bounds[0] - bounds[1] if _zero_point(node) is None else max(map(abs, bounds))
    return largest * float(whole)
