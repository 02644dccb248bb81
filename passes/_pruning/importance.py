"""How much a network would miss each group of channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.running.numerics import Arrays
from lprc.passes._fitting.regression import Normal
from lprc.passes._fitting.shadow import observed
from lprc.passes._fitting.unfold import Unfolded, unfolded
from lprc.passes._pruning.channel_groups import ChannelGroups
from lprc.passes._pruning.cuts import Cut
from lprc.passes._pruning.trace import Layer
from lprc.passes._pruning.union import Ids

Float = NDArray[np.float64]
Importance = Literal["l1", "l2", "bn", "geometric-median", "activation", "taylor", "hessian"]

DATA_DRIVEN = frozenset(["activation", "taylor", "hessian"])

NORM = "BatchNormalization"

_MEMORY = 1 << 27
"""Elements of moments that are gathered in one sweep over the samples: 1 GiB of float64."""


def scores(
    model: ir.Model, groups: ChannelGroups, importance: Importance, samples: Sequence[Arrays]
) -> Float:
    """The importance of each group: float64 [groups]; larger is more.

    Norms are of filters (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017), the
    geometric median is of He et al., "Filter Pruning via Geometric Median", CVPR 2019; both are
    divided by their mean among the groups that can be chosen from, so that layers compare.
    `bn` is the mean absolute scale of the BatchNormalizations that a group goes through, which
    compares as it is (Liu et al., "Network Slimming", ICCV 2017); NaN for groups without one.
    `activation` is the mean absolute activation times the norm of the weights that read it.
    `taylor` and `hessian` are the squared error of the outputs of the layers that read a channel,
    over the outputs' own variance: without and with the best change of the other weights to make
    up for it (Hassibi and Stork, "Optimal Brain Surgeon", NeurIPS 1993; Frantar and Alistarh,
    "Optimal Brain Compression", NeurIPS 2022). A bias makes up for means in both.

    Args:
        model: The graph.
        groups: Of its main graph.
        importance: Which.
        samples: For those that look at activations.
    """
    if importance == "bn":
        return _of_scales(groups)
    total: Float = np.zeros(groups.count)
    if importance in ("l1", "l2", "geometric-median"):
        for layer in groups.trace.layers:
            if layer.outputs is not None:
                _add(total, groups.unit[layer.outputs], _of_weights(layer, importance))
    elif importance == "activation":
        for layer, mean in _mean_activations(model, groups, samples):
            assert layer.inputs is not None
            _add(total, groups.unit[layer.inputs], mean * _outgoing(layer))
    else:
        for layer, normal in _normals(model, groups, samples):
            assert layer.inputs is not None
            errors = _errors(normal, compensated=importance == "hessian")
            _add(total, groups.unit[layer.inputs], errors)
        return total
    for channel_class in groups.classes:
        typical = float(total[channel_class.units].mean())
        if typical > 0:
            total[channel_class.units] /= typical
    return total


def _add(total: Float, units: Ids, values: Float) -> None:
    total += np.bincount(units, values, minlength=len(total))


def _of_scales(groups: ChannelGroups) -> Float:
    """The mean absolute gamma of each group; NaN without any."""
    total: Float = np.zeros(groups.count)
    number: Float = np.zeros(groups.count)
    for edit in groups.trace.edits:
        if isinstance(edit, Cut) and edit.index == 1 and editing.is_op(edit.node, NORM):
            gamma = editing.constant(edit.node.inputs[1])
            assert gamma is not None
            units = groups.unit[edit.labels]
            _add(total, units, np.abs(gamma.astype(np.float64)))
            _add(number, units, np.ones(len(units)))
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def _of_weights(layer: Layer, importance: Importance) -> Float:
    """Of each output channel, by its filter."""
    rows = _filters(layer)
    if importance == "l1":
        return np.asarray(np.abs(rows).sum(axis=1))
    if importance == "l2":
        return np.asarray(np.sqrt(np.square(rows).sum(axis=1)))
    squares = np.square(rows).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * rows @ rows.T
    return np.asarray(np.sqrt(np.maximum(distances, 0)).sum(axis=1))


def _filters(layer: Layer) -> Float:
    """float64 [output channels, elements]."""
    weight = editing.constant(layer.node.inputs[layer.index])
    assert weight is not None
    wide = weight.astype(np.float64)
    if layer.node.op_type == "ConvTranspose":
        split = wide.reshape(layer.groups, -1, *wide.shape[1:])
        return np.asarray(np.moveaxis(split, 2, 1).reshape(layer.groups * wide.shape[1], -1))
    return np.asarray(np.moveaxis(wide, layer.out_axis, 0).reshape(wide.shape[layer.out_axis], -1))


def _outgoing(layer: Layer) -> Float:
    """The norm of the weights that read each input channel."""
    weight = editing.constant(layer.node.inputs[layer.index])
    assert weight is not None
    wide = weight.astype(np.float64)
    if layer.node.op_type == "Conv":
        split = wide.reshape(layer.groups, -1, *wide.shape[1:])
        flat = np.moveaxis(split, 2, 1).reshape(layer.groups * wide.shape[1], -1)
    else:
        flat = np.moveaxis(wide, layer.in_axis, 0).reshape(wide.shape[layer.in_axis], -1)
    return np.asarray(np.sqrt(np.square(flat).sum(axis=1)))


def _mean_activations(
    model: ir.Model, groups: ChannelGroups, samples: Sequence[Arrays]
) -> Iterator[tuple[Layer, Float]]:
    layers = [layer for layer in groups.trace.layers if layer.inputs is not None]
    sums: list[Float] = [np.zeros(1) for _ in layers]
    values = [_data(layer) for layer in layers]
    axes = [_channel_axis(groups, layer) for layer in layers]
    count = 0
    for arrays in observed(model, values, samples):
        count += 1
        for index, array in enumerate(arrays):
            others = tuple(axis for axis in range(array.ndim) if axis != axes[index])
            sums[index] = sums[index] + np.abs(array).mean(axis=others, dtype=np.float64)
    for layer, total in zip(layers, sums, strict=True):
        yield layer, total / max(1, count)


def _data(layer: Layer) -> ir.Value:
    value = layer.node.inputs[1 - layer.index]
    assert value is not None
    return value


def _channel_axis(groups: ChannelGroups, layer: Layer) -> int:
    axes = groups.trace.of(_data(layer))
    return next(axis for axis, labels in axes.items() if labels is layer.inputs)


def _normals(
    model: ir.Model, groups: ChannelGroups, samples: Sequence[Arrays]
) -> Iterator[tuple[Layer, Normal]]:
    """The moments of what each layer reads, for as many layers in a sweep as fit into memory."""
    pending: list[tuple[Layer, Unfolded]] = []
    size = 0
    for layer in groups.trace.layers:
        unfolded_layer = unfolded(layer.node) if layer.inputs is not None else None
        if not isinstance(unfolded_layer, Unfolded):
            continue
        more = unfolded_layer.groups * (unfolded_layer.size + 1) ** 2
        if pending and size + more > _MEMORY:
            yield from _sweep(model, pending, samples)
            pending, size = [], 0
        pending.append((layer, unfolded_layer))
        size += more
    if pending:
        yield from _sweep(model, pending, samples)


def _sweep(
    model: ir.Model, layers: list[tuple[Layer, Unfolded]], samples: Sequence[Arrays]
) -> Iterator[tuple[Layer, Normal]]:
    normals = [Normal(each, targets=False) for _, each in layers]
    for found in observed(model, [_data(layer) for layer, _ in layers], samples):
        for normal, array in zip(normals, found, strict=True):
            normal.add(array)
    for (layer, _), normal in zip(layers, normals, strict=True):
        yield layer, normal


def _errors(normal: Normal, *, compensated: bool) -> Float:
    """For each input channel the relative error of the outputs without it."""
    layer, covariance = normal.layer, normal.covariance
    rows = layer.rows(layer.array).astype(np.float64)
    variance = float(np.einsum("grk,gkl,grl->", rows, covariance, rows))
    groups, _, size = rows.shape
    width = int(np.prod(layer.array.shape[2:])) if layer.array.ndim > 2 else 1
    channels = size // width
    errors: Float = np.zeros((groups, channels))
    for group in range(groups):
        moment = covariance[group]
        if compensated:
            damping = 1e-3 * float(np.trace(moment)) / size + 1e-30
            inverse = np.linalg.inv(moment + damping * np.eye(size))
        for channel in range(channels):
            here = slice(channel * width, (channel + 1) * width)
            metric = np.linalg.inv(inverse[here, here]) if compensated else moment[here, here]
            errors[group, channel] = np.einsum(
                "rk,kl,rl->", rows[group, :, here], metric, rows[group, :, here]
            )
    return np.asarray(np.maximum(errors.reshape(-1), 0) / max(variance, 1e-30))
