"""LPRNet as other people's exporters write it.

``torch-9`` … ``torch-20``
    torch's exporter by tracing (``dynamo=False``): MaxPool3d on a 4-D tensor becomes one invalid
    MaxPool whose kernel, strides and pads are for three dimensions. Opset 9 has Pad nodes before
    AveragePool and ``Constant -> Cast`` exponents.
``inputs-…``
    The same with ``keep_initializers_as_inputs``: every weight is a graph input too, and nothing
    is folded, so BatchNormalization and Constant nodes stay.
``transposed``
    The channel pooling done by a 2-D MaxPool over [H·W, C]-like axes: Transpose, MaxPool with
    kernel (1, 1) and the channel stride, Transpose back, then a spatial MaxPool.
``constants-…``
    No initialisers at all: each weight is a Constant node before the nodes of ``torch-…``.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial

import onnx
import torch
from models_support import random_lprnet
from torch import Tensor, nn

from lprc.models.lprnet import LPRNet

POOLS = {3: (1, (1, 1)), 7: (2, (1, 2)), 14: (4, (1, 2))}
"""Backbone layer to the channel stride and the spatial strides of its pool."""


class TransposedPool(nn.Module):
    """The channel pool as people wrote it for runtimes without MaxPool3d."""

    def __init__(self, channel_stride: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.channels = nn.MaxPool2d((1, 1), (1, channel_stride))
        self.space = nn.MaxPool2d(3, stride)

    def forward(self, maps: Tensor) -> Tensor:
        swapped = self.channels(maps.permute(0, 2, 3, 1))
        return self.space(swapped.permute(0, 3, 1, 2))


def legacy_forms(model: LPRNet | None = None) -> dict[str, Callable[[], onnx.ModelProto]]:
    """Every form above by name, of `model` or of LPRNet with random weights; made when called."""
    network = model or random_lprnet()
    traced = {f"torch-{n}": partial(legacy_export, network, opset=n) for n in (9, 11, 13, 16, 20)}
    inputs = {
        f"inputs-{n}": partial(legacy_export, network, opset=n, as_inputs=True) for n in (9, 13)
    }
    transposed = {f"transposed-{n}": partial(transposed_export, network, opset=n) for n in (11, 17)}
    constants = {f"constants-{n}": partial(constants_export, network, opset=n) for n in (9, 13)}
    return {**traced, **inputs, **transposed, **constants}


def legacy_export(model: LPRNet, *, opset: int, as_inputs: bool = False) -> onnx.ModelProto:
    """`model` through torch's exporter by tracing, with MaxPool3d on 4-D tensors."""
    return _traced(_with_pools(model, _invalid_pool), opset, as_inputs)


def transposed_export(model: LPRNet, *, opset: int) -> onnx.ModelProto:
    """`model` with Transpose and MaxPool for its channel pools."""
    return _traced(_with_pools(model, TransposedPool), opset, as_inputs=False)


def constants_export(model: LPRNet, *, opset: int) -> onnx.ModelProto:
    """`legacy_export` with its initialisers as Constant nodes."""
    proto = legacy_export(model, opset=opset)
    nodes = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in proto.graph.initializer
    ]
    nodes.extend(proto.graph.node)
    del proto.graph.initializer[:]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def _invalid_pool(channel_stride: int, stride: tuple[int, int]) -> nn.Module:
    return nn.MaxPool3d((1, 3, 3), (channel_stride, *stride))


def _with_pools(model: LPRNet, make) -> LPRNet:
    copy = LPRNet(model.num_classes)
    copy.load_state_dict(model.state_dict())
    for index, arguments in POOLS.items():
        copy.backbone[index] = make(*arguments)
    return copy.eval()


def _traced(model: LPRNet, opset: int, as_inputs: bool) -> onnx.ModelProto:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            torch.zeros(1, 3, 24, 94),
            buffer,
            dynamo=False,
            opset_version=opset,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}},
            keep_initializers_as_inputs=as_inputs,
            do_constant_folding=not as_inputs,
        )
    return onnx.load_from_string(buffer.getvalue())
