"""Rules about how QuantizeLinear and DequantizeLinear nodes stand to each other and to biases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import ACTIVATIONS, LINEAR
from lprc.core.graph.provenance import describe
from lprc.core.quantization.qdq import Qdq, carried, is_bias, is_integer_operator, qdq, roots, uses
from lprc.core.targets.legality_finding import Check, Finding, nodes

_TOLERANCE = 1e-4
"""How far a bias's scale may be from the product of the others: float32 and float16 differ."""


def _bias(model: ir.Model, allowed: str) -> Iterator[Finding]:
    for node in nodes(model):
        bias = editing.input_at(node, 2)
        if bias is None or not is_bias(node, 2):
            continue
        detail = _bias_detail(node, bias, allowed)
        if detail:
            yield describe(node), f" (bias '{bias.name}' {detail})"


def _bias_detail(node: ir.Node, bias: ir.Value, allowed: str) -> str | None:
    dequantize = qdq(bias.producer())
    quantized = [_dequantized(node, 0), _dequantized(node, 1)]
    if dequantize is None:
        if allowed == "int32" and all(quantized):
            return "is float, but both other inputs are quantised"
        return None
    dtype = "quantised" if dequantize.dtype is None else dequantize.dtype.name
    if allowed == "float":
        return f"is {dtype}, behind {describe(dequantize.node)}"
    if dequantize.dtype != ir.DataType.INT32:
        return f"is {dtype}, behind {describe(dequantize.node)}"
    data, weight = quantized
    if data is None or weight is None:
        return "is INT32, but the other inputs are not both quantised"
    return _bias_scale_detail(node, dequantize, data, weight)


def _dequantized(node: ir.Node, index: int) -> Qdq | None:
    value = editing.input_at(node, index)
    found = None if value is None else qdq(value.producer())
    return None if found is None or found.quantizes else found


def _bias_scale_detail(node: ir.Node, bias: Qdq, data: Qdq, weight: Qdq) -> str | None:
    """Why the integers of a bias can't be added to the sums of products as they are."""
    scales = [editing.constant(pair.scale) for pair in (bias, data, weight)]
    if any(scale is None for scale in scales):
        return "has a scale that can't be checked: one of the three is not constant"
    own, left, right = (
        np.asarray(scale, np.float64).reshape(-1) for scale in scales if scale is not None
    )
    if editing.is_op(node, "ConvTranspose") and right.size > 1:
        right = np.tile(right, editing.attribute(node, "group", 1))
    if len({own.size, left.size, right.size} - {1}) > 1:
        return f"has {own.size} scales, the input {left.size}, the weight {right.size}"
    own, wanted = np.broadcast_arrays(
        own * editing.attribute(node, "beta", 1.0),
        left * right * editing.attribute(node, "alpha", 1.0),
    )
    wrong = np.flatnonzero(~np.isclose(own, wanted, rtol=_TOLERANCE, atol=0.0))
    if not wrong.size:
        return None
    at = f" at channel {wrong[0]}" if own.size > 1 else ""
    return (
        f"has the scale {own[wrong[0]]:.6g}{at}, "
        f"not input scale * weight scale = {wanted[wrong[0]]:.6g}"
    )


def _dangling(model: ir.Model, pairs: str, activations: str) -> Iterator[Finding]:
    for node in nodes(model):
        pair = qdq(node)
        if pair is None:
            continue
        details = (
            [*_ends(pair), *(_parted(pair) if activations == "refused" else ())]
            if pair.quantizes
            else [*_begins(pair), *(_differences(pair) if pairs == "equal" else ())]
        )
        for detail in details:
            yield describe(node), f" ({detail})"


def _ends(quantize: Qdq) -> Iterator[str]:
    """Where the result of a QuantizeLinear goes that nothing dequantises."""
    used = any(value.is_graph_output() for value in carried(quantize.output))
    for node, index in uses(quantize.output):
        used = True
        reads = editing.is_op(node, "DequantizeLinear") and index == 0
        if not reads and not is_integer_operator(node):
            yield f"its result goes to {describe(node)}"
    if not used:
        yield "nothing uses its result"


def _begins(dequantize: Qdq) -> Iterator[str]:
    """Where a DequantizeLinear reads what nothing quantised."""
    for root in roots(dequantize.data):
        producer = root.producer()
        known = root.is_graph_input() or editing.constant(root) is not None
        if known or editing.is_op(producer, "QuantizeLinear") or is_integer_operator(producer):
            continue
        yield f"it reads '{root.name}'" + (f" of {describe(producer)}" if producer else "")


def _differences(dequantize: Qdq) -> Iterator[str]:
    """Where the parameters of a DequantizeLinear are not those of what it reads."""
    for root in roots(dequantize.data):
        quantize = qdq(root.producer())
        if quantize is None or not quantize.quantizes:
            continue
        other = f"that of {describe(quantize.node)}"
        scales = _array(dequantize.scale, 1.0), _array(quantize.scale, 1.0)
        zeros = _array(dequantize.zero_point, 0.0), _array(quantize.zero_point, 0.0)
        if not _same(*scales, dequantize.scale is quantize.scale):
            yield f"its scale{_versus(*scales)} is not {other}"
        elif not _same(*zeros, dequantize.zero_point is quantize.zero_point):
            yield f"its zero point{_versus(*zeros)} is not {other}"
        elif root is dequantize.data and _layout(dequantize) != _layout(quantize):
            yield f"its axis or block_size is not {other}"


def _array(value: ir.Value | None, default: float) -> NDArray[np.float64] | None:
    """A constant parameter as float64, of shape [1] where it has one element."""
    array = np.array(default) if value is None else editing.constant(value)
    if array is None:
        return None
    wide = array.astype(np.float64)
    return wide.reshape(1) if wide.size == 1 else wide


def _same(
    left: NDArray[np.float64] | None, right: NDArray[np.float64] | None, identical: bool
) -> bool:
    if left is None or right is None:
        return identical
    return np.array_equal(left, right, equal_nan=True)


def _versus(left: NDArray[np.float64] | None, right: NDArray[np.float64] | None) -> str:
    if left is None or right is None or left.size != right.size:
        return ""
    at = int(np.flatnonzero(left.reshape(-1) != right.reshape(-1))[:1].sum())
    return f" {left.reshape(-1)[at]:.6g} ({right.reshape(-1)[at]:.6g})"


def _layout(node: Qdq) -> tuple[int, int] | None:
    """The axis and the block size; None where one scale serves all."""
    array = editing.constant(node.scale)
    if array is not None and array.size == 1 and not node.block_size:
        return None
    return node.axis % len(node.sizes or [1]), node.block_size


def _parted(quantize: Qdq) -> Iterator[str]:
    """Whether Q/DQ alone stand between a linear operator and the activation to fuse with it."""
    if quantize.data is None or editing.sole_user(quantize.data) is None:
        return
    linear = quantize.data.producer()
    dequantize = editing.sole_user(quantize.output)
    if not editing.is_op(linear, *LINEAR) or not editing.is_op(dequantize, "DequantizeLinear"):
        return
    assert linear is not None
    assert dequantize is not None
    reader = editing.sole_user(dequantize.outputs[0])
    if reader is not None and editing.is_op(reader, *ACTIVATIONS):
        yield f"it stands between {describe(linear)} and {describe(reader)}"


CHECKS: dict[str, Check] = {
    "qdq-bias": _bias,
    "qdq-dangling": _dangling,
}
"""By the rule that they check."""
