"""QuantizeLinear and DequantizeLinear with a straight-through gradient.

Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through Stochastic Neurons",
2013; as used for quantisation-aware training by Jacob et al., CVPR 2018. Quantised values are
floats that are whole numbers, so that gradients can pass.
"""

from __future__ import annotations

import torch

from lprc.core.torch_graph.operators.call import Call, Function, Inputs, given, needed


def quantize(
    x: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor | None, axis: int, unsigned: bool
) -> torch.Tensor:
    """Whole numbers of 8 bits as floats; the gradient is that of clamping alone."""
    steps = x / along(scale, x, axis)
    rounded = steps + (steps.round() - steps).detach()
    if zero_point is not None:
        rounded = rounded + along(zero_point, x, axis).to(x.dtype)
    return rounded.clamp(0, 255) if unsigned else rounded.clamp(-128, 127)


def dequantize(
    q: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor | None, axis: int
) -> torch.Tensor:
    """Real numbers, in the type of `scale`."""
    whole = q.to(scale.dtype)
    if zero_point is not None:
        whole = whole - along(zero_point, q, axis).to(scale.dtype)
    return whole * along(scale, q, axis)


def along(parameter: torch.Tensor, x: torch.Tensor, axis: int) -> torch.Tensor:
    """A quantisation parameter, shaped to be broadcast over `x`."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    shape = [1] * x.dim()
    shape[axis] = parameter.numel()
    return parameter.reshape(shape)


_EIGHT_BITS = (torch.int8, torch.uint8)


def _quantize(call: Call, inputs: Inputs) -> torch.Tensor:
    x, scale, zero_point = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    kind = torch.uint8 if zero_point is None else zero_point.dtype
    if call.attribute("block_size", 0) or kind not in _EIGHT_BITS:
        raise call.refused(f"it quantises to {kind} or in blocks")
    return quantize(x, scale, zero_point, call.attribute("axis", 1), kind == torch.uint8)


def _dequantize(call: Call, inputs: Inputs) -> torch.Tensor:
    if call.attribute("block_size", 0):
        raise call.refused("it has blocks")
    axis = call.attribute("axis", 1)
    return dequantize(needed(inputs, 0), needed(inputs, 1), given(inputs, 2), axis)


TABLE: dict[str, Function] = {"DequantizeLinear": _dequantize, "QuantizeLinear": _quantize}
