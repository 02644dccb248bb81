"""MaxPool over channels, as 3-D pooling exports write it, in operators every target has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact_if_finite
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.channel_pool import ChannelPool, Window, match, ranks

_END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Legalize(Pass):
    """Replace a MaxPool over channels by a channel Slice and a 2-D MaxPool.

    Three forms are known: a 5-D MaxPool between Unsqueeze and Squeeze (or Reshapes), which
    torch's dynamo exporter writes; three-element attributes on a 4-D tensor, which torch's
    older exporter writes and which is not valid ONNX; and a 2-D MaxPool between Transposes.

    A channel kernel of 1 takes every stride-th channel, which is a Slice. A larger one is the Max
    of as many shifted Slices. A channel stride and kernel of 1 need neither.
    """

    name = "legalize"
    contract = exact_if_finite

    max_channel_kernel: int = option(4, "largest channel kernel to write as a Max of Slices")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite every pool over channels; see the class."""
        old_opset = editing.opset_version(model) < 13
        for graph in editing.graphs(model):
            rank_of = ranks(graph)
            for node in list(graph):
                pool = match(node, rank_of)
                if pool is None:
                    continue
                reason = "opset is below 13" if old_opset else self._why_not(pool)
                if reason:
                    context.skip(node, reason)
                elif context.rewrite(node, _note(pool)):
                    _rewrite(pool)

    def _why_not(self, pool: ChannelPool) -> str | None:
        node, channel = pool.node, pool.windows[0]
        if len(node.outputs) > 1 and (node.outputs[1].uses() or node.outputs[1].is_graph_output()):
            return "Indices output is used"
        if pool.form == "transposed" and not any(
            pool.undone_by(use.node) for use in node.outputs[0].uses()
        ):
            return "not transposed back"
        if channel.pad_begin or channel.pad_end:
            return "pads on the channel axis"
        if any(
            _overhangs(window, pool.source, axis) for axis, window in enumerate(pool.windows, 1)
        ):
            return "a window is larger than its input"
        if channel.kernel > 1:
            if editing.dimension(pool.source, 1) is None:
                return "channel count is unknown"
            return self._why_not_decompose(pool)
        return None

    def _why_not_decompose(self, pool: ChannelPool) -> str | None:
        channel = pool.windows[0]
        if channel.kernel > self.max_channel_kernel:
            return "channel kernel is above max-channel-kernel"
        if editing.attribute(pool.node, "auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
            return "auto_pad with a channel kernel"
        if pool.source.dtype in (None, ir.DataType.INT8, ir.DataType.UINT8):
            return "channel kernel over integers or an unknown type"
        if editing.attribute(pool.node, "ceil_mode", 0) and channel.stride > 1:
            return "ceil_mode with a channel kernel"
        return None


def _overhangs(window: Window, source: ir.Value, axis: int) -> bool:
    """Whether no window fits an axis of the input as far as that is known."""
    size = editing.dimension(source, axis)
    reach = (window.kernel - 1) * window.dilation + 1
    return size is not None and size + window.pad_begin + window.pad_end < reach


def _note(pool: ChannelPool) -> str:
    channel, height, width = pool.windows
    parts = [] if channel.is_idle else [f"Slice step {channel.stride}"]
    if channel.kernel > 1:
        parts = [f"Max of {channel.kernel} Slices"]
    if not (height.is_idle and width.is_idle):
        parts.append("2-D MaxPool")
    return f"{pool.form} form to {' and '.join(parts) or 'nothing'}"


def _rewrite(pool: ChannelPool) -> None:
    node = pool.node
    result = _pool_plane(pool, _pool_channels(pool))
    undoing = [use.node for use in node.outputs[0].uses() if pool.undone_by(use.node)]
    for user in undoing:
        editing.replace_value(user.outputs[0], result, before=user)
    editing.remove_dead(undoing)
    old = node.outputs[0]
    if old.uses() or old.is_graph_output():
        editing.replace_value(old, _as_written(pool, result), before=node)
    editing.remove_dead([node])


def _as_written(pool: ChannelPool, result: ir.Value) -> ir.Value:
    """`result` in the layout of the old MaxPool's output, for users that expect that."""
    graph, old = pool.node.graph, pool.node.outputs[0]
    assert isinstance(graph, ir.Graph)
    if pool.form == "volume":
        axes = editing.add_initializer(graph, f"{pool.node.name}_axes", np.array([pool.axis]))
        return editing.new_node(
            "Unsqueeze", [result, axes], before=pool.node, sources=[pool.node], shape=old.shape
        )
    if pool.form == "transposed":
        return editing.new_node(
            "Transpose",
            [result],
            before=pool.node,
            sources=[pool.node],
            attributes={"perm": pool.permutation},
            shape=old.shape,
        )
    return result


def _pool_channels(pool: ChannelPool) -> ir.Value:
    channel = pool.windows[0]
    if channel.is_idle:
        return pool.source
    reach = (channel.kernel - 1) * channel.dilation
    slices = [
        _slice(pool, start, start - reach or _END, channel.stride)
        for start in range(0, reach + 1, channel.dilation)
    ]
    if len(slices) == 1:
        return slices[0]
    return editing.new_node(
        "Max", slices, before=pool.node, sources=[pool.node], shape=slices[0].shape
    )


def _slice(pool: ChannelPool, start: int, end: int, step: int) -> ir.Value:
    node, source = pool.node, pool.source
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    count = editing.dimension(source, 1)
    shape = None
    if source.shape is not None:
        taken = None if count is None else len(range(count)[slice(start, end, step)])
        shape = [source.shape[0], taken, *list(source.shape)[2:]]
    if count is not None and end == _END:
        end = count
    bounds = [
        editing.add_initializer(graph, f"{node.name}_{word}", np.array([number]))
        for word, number in (("starts", start), ("ends", end), ("axes", 1), ("steps", step))
    ]
    return editing.new_node(
        "Slice", [source, *bounds], before=node, sources=[node], dtype=source.dtype, shape=shape
    )


def _pool_plane(pool: ChannelPool, source: ir.Value) -> ir.Value:
    plane = pool.windows[1:]
    if all(window.is_idle for window in plane):
        return source
    attributes: dict[str, object] = {
        "kernel_shape": [window.kernel for window in plane],
        "strides": [window.stride for window in plane],
    }
    pads = [window.pad_begin for window in plane] + [window.pad_end for window in plane]
    dilations = [window.dilation for window in plane]
    ceil_mode = editing.attribute(pool.node, "ceil_mode", 0)
    auto_pad = editing.attribute(pool.node, "auto_pad", "NOTSET")
    if auto_pad != "NOTSET":
        attributes["auto_pad"] = auto_pad
    elif any(pads):
        attributes["pads"] = pads
    if any(dilation != 1 for dilation in dilations):
        attributes["dilations"] = dilations
    if ceil_mode:
        attributes["ceil_mode"] = 1
    shape = None
    if source.shape is not None:
        sizes = (
            _pooled(size, window, auto_pad, ceil_mode)
            for size, window in zip(list(source.shape)[2:], plane, strict=True)
        )
        shape = [source.shape[0], source.shape[1], *sizes]
    return editing.new_node(
        "MaxPool",
        [source],
        before=pool.node,
        sources=[pool.node],
        attributes=attributes,
        shape=shape,
    )


def _pooled(
    size: int | ir.SymbolicDim, window: Window, auto_pad: str, ceil_mode: int
) -> int | None:
    """The size of a pooled axis; None where it is unknown or left to shape inference."""
    if not isinstance(size, int) or auto_pad != "NOTSET" or ceil_mode:
        return None
    reach = (window.kernel - 1) * window.dilation + 1
    return (size + window.pad_begin + window.pad_end - reach) // window.stride + 1
