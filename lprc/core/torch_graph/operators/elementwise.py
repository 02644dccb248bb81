"""What works element by element, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch.nn import functional

from lprc.core.torch_graph.operators.call import Call, Function, Inputs, given, needed


def _unary(function: Callable[[torch.Tensor], torch.Tensor]) -> Function:
    return lambda _, inputs: function(needed(inputs, 0))


def _binary(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Function:
    def call(_: Call, inputs: Inputs) -> torch.Tensor:
        left, right = _one_device(needed(inputs, 0), needed(inputs, 1))
        return function(left, right)

    return call


def _one_device(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Shapes stay on the CPU; they may meet what does not."""
    if left.device == right.device:
        return left, right
    device = right.device if left.device.type == "cpu" else left.device
    return left.to(device), right.to(device)


def _variadic(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Function:
    return lambda _, inputs: reduce(function, (each for each in inputs if each is not None))


def _divide(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    if left.dtype.is_floating_point:
        return left / right
    return torch.div(left, right, rounding_mode="trunc")


def _mod(call: Call, inputs: Inputs) -> torch.Tensor:
    left, right = _one_device(needed(inputs, 0), needed(inputs, 1))
    return torch.fmod(left, right) if call.attribute("fmod", 0) else torch.remainder(left, right)


def _clip(call: Call, inputs: Inputs) -> torch.Tensor:
    low, high = given(inputs, 1), given(inputs, 2)
    least = call.attribute("min") if low is None else low.item()
    most = call.attribute("max") if high is None else high.item()
    x = needed(inputs, 0)
    return x if least is None and most is None else x.clamp(least, most)


def _prelu(call: Call, inputs: Inputs) -> torch.Tensor:
    x, slope = needed(inputs, 0), needed(inputs, 1)
    if call.version < 7 and slope.dim() == 1:  # of the channels, not of the last axis
        slope = slope.reshape(-1, *[1] * (x.dim() - 2))
    return torch.where(x >= 0, x, x * slope)


def _hard_sigmoid(call: Call, inputs: Inputs) -> torch.Tensor:
    slope, offset = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    scaled: torch.Tensor = needed(inputs, 0) * slope + offset
    return scaled.clamp(0, 1)


def _gelu(call: Call, inputs: Inputs) -> torch.Tensor:
    return functional.gelu(needed(inputs, 0), approximate=call.attribute("approximate", "none"))


def _elu(call: Call, inputs: Inputs) -> torch.Tensor:
    return functional.elu(needed(inputs, 0), alpha=call.attribute("alpha", 1.0))


def _leaky_relu(call: Call, inputs: Inputs) -> torch.Tensor:
    return functional.leaky_relu(needed(inputs, 0), call.attribute("alpha", 0.01))


def _where(_: Call, inputs: Inputs) -> torch.Tensor:
    return torch.where(needed(inputs, 0), needed(inputs, 1), needed(inputs, 2))


def _dropout(call: Call, inputs: Inputs) -> torch.Tensor:
    if call.outputs > 1:
        raise call.refused("its mask is used")
    # Exported networks are inference graphs: training_mode is false there, and stays so.
    return needed(inputs, 0)


def _cast_like(_: Call, inputs: Inputs) -> torch.Tensor:
    return needed(inputs, 0).to(needed(inputs, 1).dtype)


TABLE: dict[str, Function] = {
    "Abs": _unary(torch.abs),
    "Add": _binary(torch.add),
    "And": _binary(torch.logical_and),
    "CastLike": _cast_like,
    "Ceil": _unary(torch.ceil),
    "Clip": _clip,
    "Cos": _unary(torch.cos),
    "Div": _binary(_divide),
    "Dropout": _dropout,
    "Elu": _elu,
    "Equal": _binary(torch.eq),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Floor": _unary(torch.floor),
    "Gelu": _gelu,
    "Greater": _binary(torch.gt),
    "GreaterOrEqual": _binary(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _unary(functional.hardswish),
    "Identity": _unary(lambda x: x),
    "LeakyRelu": _leaky_relu,
    "Less": _binary(torch.lt),
    "LessOrEqual": _binary(torch.le),
    "Log": _unary(torch.log),
    "Max": _variadic(torch.maximum),
    "Min": _variadic(torch.minimum),
    "Mish": _unary(functional.mish),
    "Mod": _mod,
    "Mul": _binary(torch.mul),
    "Neg": _unary(torch.neg),
    "Not": _unary(torch.logical_not),
    "Or": _binary(torch.logical_or),
    "PRelu": _prelu,
    "Pow": _binary(torch.pow),
    "Reciprocal": _unary(torch.reciprocal),
    "Relu": _unary(torch.relu),
    "Round": _unary(torch.round),
    "Sigmoid": _unary(torch.sigmoid),
    "Sign": _unary(torch.sign),
    "Sin": _unary(torch.sin),
    "Softplus": _unary(functional.softplus),
    "Softsign": _unary(functional.softsign),
    "Sqrt": _unary(torch.sqrt),
    "Sub": _binary(torch.sub),
    "Sum": _variadic(torch.add),
    "Tanh": _unary(torch.tanh),
    "Where": _where,
}
