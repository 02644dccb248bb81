"""Weights that several operators read: what goes from one goes from all, so that one stays one."""

from __future__ import annotations

from collections import defaultdict

import onnx_ir as ir

from lprc.passes._pruning.trace import Layer, Trace
from lprc.passes._pruning.union import Ids

STAYS_ELSEWHERE = "its weight is shared with an operator whose channels can't go"


def tie_shared_weights(trace: Trace) -> None:
    """Join the channels of operators that read one weight in the same way.

    The levels of an image pyramid and the heads of a detector share their Convs; cut differently,
    one weight would become several and the file could grow.
    """
    layers_by_weight: dict[tuple[ir.Value | None, int, int], list[Layer]] = defaultdict(list)
    for layer in trace.layers:
        weight = layer.node.inputs[layer.index]
        layers_by_weight[weight, layer.in_axis, layer.groups].append(layer)
    for layers in layers_by_weight.values():
        if len(layers) > 1:
            _tie(trace, layers, [layer.inputs for layer in layers])
            _tie(trace, layers, [layer.outputs for layer in layers])


def _tie(trace: Trace, layers: list[Layer], labels_by_layer: list[Ids | None]) -> None:
    if any(labels is None for labels in labels_by_layer):
        for layer, labels in zip(layers, labels_by_layer, strict=True):
            if labels is not None:
                trace.protect(layer.node, STAYS_ELSEWHERE, [labels])
        return
    first, *others = [labels for labels in labels_by_layer if labels is not None]
    for labels in others:
        trace.join(first, labels)
