"""Matrix products, reductions, normalisations and softmax."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from lprc.core.torch_graph.operators.call import (
    Call,
    Function,
    Inputs,
    given,
    integers_of,
    needed,
)


def _gemm(call: Call, inputs: Inputs) -> torch.Tensor:
    a, b, c = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    a = a.t() if call.attribute("transA", 0) else a
    b = b.t() if call.attribute("transB", 0) else b
    product: torch.Tensor = a @ b * call.attribute("alpha", 1.0)
    return product if c is None else product + c * call.attribute("beta", 1.0)


def _matmul(_: Call, inputs: Inputs) -> torch.Tensor:
    return needed(inputs, 0) @ needed(inputs, 1)


def _einsum(call: Call, inputs: Inputs) -> torch.Tensor:
    return torch.einsum(call.attribute("equation"), *[each for each in inputs if each is not None])


def _reduction(
    function: Callable[[torch.Tensor, tuple[int, ...], bool], torch.Tensor],
) -> Function:
    def call(call: Call, inputs: Inputs) -> torch.Tensor:
        x = needed(inputs, 0)
        axes = integers_of(call, inputs, 1, "axes")
        if not axes:
            if call.attribute("noop_with_empty_axes", 0):
                return x
            axes = list(range(x.dim()))
        return function(x, tuple(axes), bool(call.attribute("keepdims", 1)))

    return call


def _norm_2(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    norm: torch.Tensor = torch.linalg.vector_norm(x, dim=axes, keepdim=keep)
    return norm


def _softmax(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    function = torch.log_softmax if call.op_type == "LogSoftmax" else torch.softmax
    if call.version >= 13:
        return function(x, dim=call.attribute("axis", -1))
    # Until opset 13 all axes from this one on were one.
    axis = call.attribute("axis", 1) % x.dim()
    return function(x.flatten(axis), dim=axis).reshape(x.shape)


def _batch_norm(call: Call, inputs: Inputs) -> torch.Tensor:
    x, scale, bias, mean, variance = (needed(inputs, index) for index in range(5))
    if call.outputs > 1:
        raise call.refused("it puts out its statistics")
    # ONNX: running = running * momentum + batch * (1 - momentum); torch: the other way round.
    return functional.batch_norm(
        x,
        mean,
        variance,
        scale,
        bias,
        training=call.training,
        momentum=1 - call.attribute("momentum", 0.9),
        eps=call.attribute("epsilon", 1e-5),
    )


def _instance_norm(call: Call, inputs: Inputs) -> torch.Tensor:
    x, scale, bias = (needed(inputs, index) for index in range(3))
    return functional.instance_norm(x, weight=scale, bias=bias, eps=call.attribute("epsilon", 1e-5))


def _layer_norm(call: Call, inputs: Inputs) -> torch.Tensor:
    x, scale, bias = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    if call.outputs > 1:
        raise call.refused("its mean or deviation is used")
    shape = x.shape[call.attribute("axis", -1) % x.dim() :]
    normal = functional.layer_norm(x, shape, eps=call.attribute("epsilon", 1e-5)) * scale
    return normal if bias is None else normal + bias


TABLE: dict[str, Function] = {
    "BatchNormalization": _batch_norm,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "ReduceL1": _reduction(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduction(_norm_2),
    "ReduceMax": _reduction(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: x.square().sum(axes, keep)),
    "Softmax": _softmax,
}
