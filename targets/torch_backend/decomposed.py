"""QuantizeLinear and DequantizeLinear as the operators that torch's compilers know.

`quantized_decomposed` is what torch's own quantisers put into graphs; Inductor recognises
dequantize, convolution, activation, quantize among them and calls oneDNN's integer kernels.
"""

from __future__ import annotations

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators

from lprc.core.torch_graph.operators.call import Call, Function, Inputs, given, needed
from lprc.core.torch_graph.operators.quantisation import along

_OPERATORS = torch.ops.quantized_decomposed

_UNSIGNED = 128
"""What makes an int8 value a uint8 one: q and zero-point move alike, the real number stays."""


def _quantize(call: Call, inputs: Inputs) -> torch.Tensor:
    x, scale, zero_point = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    dtype = torch.uint8 if zero_point is None else zero_point.dtype
    _check(call, scale, dtype)
    if scale.numel() > 1:
        raise call.refused("it quantises an activation with several scales")
    # oneDNN's kernels read uint8, and Inductor gives their outputs the type of their input.
    zero = _whole(zero_point) + (_UNSIGNED if dtype == torch.int8 else 0)
    quantized: torch.Tensor = _OPERATORS.quantize_per_tensor(
        x, float(scale), zero, 0, 255, torch.uint8
    )
    return quantized


def _dequantize(call: Call, inputs: Inputs) -> torch.Tensor:
    q, scale, zero_point = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    if q.dtype == torch.int32:  # a bias
        axis = call.attribute("axis", 1)
        real = q.to(scale.dtype) * along(scale, q, axis)
        return real if zero_point is None else real - _whole(zero_point) * float(scale)
    _check(call, scale, q.dtype)
    low, high = (0, 255) if q.dtype == torch.uint8 else (-128, 127)
    if scale.numel() > 1:
        points = torch.zeros(scale.numel(), dtype=torch.int64)
        if zero_point is not None:
            points = zero_point.flatten().to(torch.int64)
        axis = call.attribute("axis", 1) % q.dim()
        parameters = (scale.flatten(), points, axis)
        values: torch.Tensor = _OPERATORS.dequantize_per_channel(q, *parameters, low, high, q.dtype)
        return values
    stored = torch.uint8 if zero_point is None else zero_point.dtype
    moved = _UNSIGNED if stored == torch.int8 and q.dtype == torch.uint8 else 0
    zero = _whole(zero_point) + moved
    whole: torch.Tensor
    whole = _OPERATORS.dequantize_per_tensor(q, float(scale), zero, low, high, q.dtype)
    return whole


def _check(call: Call, scale: torch.Tensor, dtype: torch.dtype) -> None:
    if call.attribute("block_size", 0) or dtype not in (torch.int8, torch.uint8):
        raise call.refused(f"it has {dtype} or blocks")
    if scale.dtype != torch.float32:
        raise call.refused(f"its scale is {scale.dtype}")


def _whole(zero_point: torch.Tensor | None) -> int:
    return 0 if zero_point is None else int(zero_point)


DECOMPOSED: dict[str, Function] = {"DequantizeLinear": _dequantize, "QuantizeLinear": _quantize}
