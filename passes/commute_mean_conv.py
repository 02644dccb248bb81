"""Means over space in front of a 1×1 Conv instead of behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import AVERAGES
from lprc.core.graph.reduction import reduce_mean, reduced_axes
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.pool_windows import MAY_NOT_FIT, fits


@dataclass(frozen=True)
class CommuteMeanConv(Pass):
    """Take a spatial mean before the 1×1 Conv that feeds it alone: the Conv gets fewer positions.

    A 1×1 Conv is the same affine map at every position and a mean's weights sum to 1, so the two
    commute. ReduceMean over spatial axes, GlobalAveragePool and AveragePool are means; an
    AveragePool that counts padding is one only for a Conv without bias.
    """

    name = "commute-mean-conv"
    contract = exact

    through_concat: bool = option(False, "go on before a Concat of channels that feeds the Conv")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Move each mean; see the class."""
        opset = editing.opset_version(model)
        if opset < 13:
            return
        for graph in editing.graphs(model):
            for node in list(graph):
                mean: ir.Node | None = node
                while mean is not None and (conv := _conv_before(mean)) is not None:
                    mean = self._commute(mean, conv, opset, context)

    def _commute(
        self, mean: ir.Node, conv: ir.Node, opset: int, context: PassContext
    ) -> ir.Node | None:
        """Move `mean` before `conv`; the new mean, or None if it was left alone or split."""
        reason = _why_not(mean, conv)
        if reason:
            context.skip(mean, reason)
            return None
        if not context.rewrite(mean, f"moved before {conv.name}"):
            return None
        axes = _axes(mean, conv) if editing.is_op(mean, "ReduceMean") else ()
        assert axes is not None
        first = _mean_of(mean, conv.inputs[0], axes, opset)
        moved = editing.new_node(
            "Conv",
            [first, *conv.inputs[1:]],
            before=mean,
            sources=[conv, mean],
            attributes=conv.attributes,
            name=conv.name,
            shape=_conv_shape(first, conv),
        )
        editing.replace_value(mean.outputs[0], _drop_axes(moved, mean, axes), before=mean)
        editing.remove_dead([mean])
        new_mean = first.producer()
        assert new_mean is not None
        if self.through_concat:
            return _split_over_concat(new_mean, axes, opset, context)
        return new_mean


def _conv_before(mean: ir.Node) -> ir.Node | None:
    if not editing.is_op(mean, *AVERAGES):
        return None
    source = mean.inputs[0]
    conv = None if source is None else source.producer()
    return conv if conv is not None and editing.is_op(conv, "Conv") else None


def _why_not(mean: ir.Node, conv: ir.Node) -> str | None:
    if not _is_pointwise(conv):
        return "Conv is not 1×1 with stride 1 and no padding"
    if not editing.is_private(conv.outputs[0]) or conv.graph is not mean.graph:
        return "Conv output has other users"
    if editing.is_op(mean, "ReduceMean"):
        axes = _axes(mean, conv)
        if axes is None:
            return "axes are not constant"
        if not axes:
            return "nothing is reduced"
        if min(axes) < 2:
            return "mean over batch or channels"
    reason = _why_not_pool(mean, conv) if editing.is_op(mean, "AveragePool") else None
    return reason or (None if _saves(mean, conv) else "would not save work")


def _why_not_pool(mean: ir.Node, conv: ir.Node) -> str | None:
    if editing.attribute(mean, "ceil_mode", 0):
        return "AveragePool has ceil_mode"
    same = editing.attribute(mean, "auto_pad", "NOTSET").startswith("SAME")
    padded = same or any(editing.attribute(mean, "pads") or ())
    counts = editing.attribute(mean, "count_include_pad", 0)
    if padded and counts and editing.input_at(conv, 2) is not None:
        return "padding is counted and Conv has a bias"
    return None if fits(mean) else MAY_NOT_FIT


def _is_pointwise(conv: ir.Node) -> bool:
    weight = editing.static_shape(conv.inputs[1])
    kernel = editing.attribute(conv, "kernel_shape") or (weight[2:] if weight else [0])
    return (
        weight is not None
        and all(size == 1 for size in (*kernel, *weight[2:]))
        and all(stride == 1 for stride in editing.attribute(conv, "strides") or ())
        and not any(editing.attribute(conv, "pads") or ())
    )


def _axes(mean: ir.Node, conv: ir.Node) -> tuple[int, ...] | None:
    rank = editing.rank(conv.inputs[1])
    assert rank is not None
    return reduced_axes(mean, rank)


def _saves(mean: ir.Node, conv: ir.Node) -> bool:
    """Whether the work for one output position falls."""
    weight = editing.static_shape(conv.inputs[1])
    assert weight is not None
    per_position = weight[0] * weight[1]
    channels = weight[1] * editing.attribute(conv, "group", 1)
    if editing.is_op(mean, "AveragePool"):
        window = math.prod(editing.attribute(mean, "kernel_shape"))
        positions = math.prod(editing.attribute(mean, "strides") or [1])
    else:
        axes = _axes(mean, conv) if editing.is_op(mean, "ReduceMean") else None
        sizes = [editing.dimension(conv.outputs[0], axis) for axis in axes or ()]
        # Two is the least that a mean of unknown size is worth the trouble for.
        known_sizes = [size for size in sizes if size is not None]
        window = positions = (
            math.prod(known_sizes) if known_sizes and len(known_sizes) == len(sizes) else 2
        )
    before = positions * per_position + window * weight[0]
    return bool(before > per_position + window * channels)


def _mean_of(mean: ir.Node, value: ir.Value | None, axes: tuple[int, ...], opset: int) -> ir.Value:
    """The same mean of another value, with all axes kept."""
    assert value is not None
    if editing.is_op(mean, "ReduceMean"):
        return reduce_mean(value, axes, instead_of=mean, opset=opset)
    old = mean.outputs[0].shape
    shape = None
    if old is not None and value.shape is not None:
        shape = [*list(value.shape)[:2], *list(old)[2:]]
    return editing.new_node(
        mean.op_type,
        [value],
        before=mean,
        sources=[mean],
        attributes=mean.attributes,
        shape=shape,
    )


def _conv_shape(value: ir.Value, conv: ir.Node) -> list[int | ir.SymbolicDim] | None:
    channels = editing.dimension(conv.inputs[1], 0)
    if value.shape is None or channels is None:
        return None
    return [value.shape[0], channels, *list(value.shape)[2:]]


def _drop_axes(value: ir.Value, mean: ir.Node, axes: tuple[int, ...]) -> ir.Value:
    if not editing.is_op(mean, "ReduceMean") or editing.attribute(mean, "keepdims", 1):
        return value
    graph = mean.graph
    assert isinstance(graph, ir.Graph)
    return editing.new_node(
        "Squeeze",
        [value, editing.add_initializer(graph, f"{mean.name}_axes", np.array(axes))],
        before=mean,
        sources=[mean],
        shape=mean.outputs[0].shape,
    )


def _split_over_concat(
    mean: ir.Node, axes: tuple[int, ...], opset: int, context: PassContext
) -> ir.Node | None:
    """Mean of Concat to Concat of means, where nothing else needs the whole Concat."""
    source = mean.inputs[0]
    concat = None if source is None else source.producer()
    if concat is None or not editing.is_op(concat, "Concat"):
        return mean
    rank = editing.rank(source)
    axis = editing.attribute(concat, "axis")
    if axis != 1 and (rank is None or axis + rank != 1):
        context.skip(mean, "Concat is not over channels")
        return None
    if not editing.is_private(concat.outputs[0]) or concat.graph is not mean.graph:
        context.skip(mean, "Concat output has other users")
        return None
    if not context.rewrite(mean, f"moved before {concat.name}"):
        return None
    parts = [_mean_of(mean, value, axes, opset) for value in concat.inputs]
    joined = editing.new_node(
        "Concat",
        parts,
        before=mean,
        sources=[concat, mean],
        attributes={"axis": 1},
        shape=mean.outputs[0].shape,
    )
    editing.replace_value(mean.outputs[0], joined, before=mean)
    editing.remove_dead([mean])
    return None
