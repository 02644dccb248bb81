"""Linear operators as dot products: ``y[position, row] = columns[position] · rows[row]``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import LINEAR

CHUNK = 1 << 22
"""The most elements of im2col that are in memory at once: 16 MiB of float32."""


@dataclass(frozen=True)
class Unfolded:
    """A linear operator with a constant float32 weight, unfolded as by im2col.

    Attributes:
        node: The Conv, ConvTranspose, Gemm or MatMul.
        array: The weight, in the node's own layout.
        groups: The groups of a Conv or ConvTranspose; 1 for the others.
        out_axis: The axis of `array` with the output channels (of one group, for ConvTranspose).
        in_axis: The axis of `array` with the input channels (of one group, for Conv).
        order: int64 [groups, rows, size]: the flat position in `array` of each row's elements.
    """

    node: ir.Node
    array: NDArray[np.float32]
    groups: int
    out_axis: int
    in_axis: int
    order: NDArray[np.int64]

    @property
    def weight(self) -> ir.Value:
        """The weight's value in the graph."""
        value = self.node.inputs[1]
        assert value is not None
        return value

    @property
    def input(self) -> ir.Value:
        """The activation that the weight meets."""
        value = self.node.inputs[0]
        assert value is not None
        return value

    @property
    def size(self) -> int:
        """The number of products in one dot product."""
        return int(self.order.shape[2])

    def rows(self, array: NDArray[Any]) -> NDArray[Any]:
        """`array`, laid out as the weight, as [groups, rows, size]."""
        return np.asarray(np.broadcast_to(array, self.array.shape).reshape(-1)[self.order])

    def fold(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `rows`."""
        flat = np.empty(self.array.size, rows.dtype)
        flat[self.order] = rows
        return flat.reshape(self.array.shape)

    def columns(self, activation: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """What each output position multiplies the rows with, in chunks of bounded memory.

        Args:
            activation: The node's input.

        Yields:
            float32 [groups, positions, size].
        """
        if self.node.op_type in ("Conv", "ConvTranspose"):
            yield from _windows(self, activation)
            return
        flat = self._flat(activation)
        step = max(1, CHUNK // self.size)
        for start in range(0, flat.shape[1], step):
            yield flat[:, start : start + step]

    def columns_at(
        self, activation: NDArray[np.float32], positions: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Those of `columns` at some positions, without computing the others.

        Args:
            activation: The node's input.
            positions: int64 [n], in any order.

        Returns:
            float32 [groups, n, size].
        """
        if self.node.op_type not in ("Conv", "ConvTranspose"):
            return self._flat(activation)[:, positions]
        view = _view(self, activation)
        rank = self.array.ndim - 2
        sample, *place = np.unravel_index(positions, (len(view), *view.shape[2 : 2 + rank]))
        index: Any = (sample, slice(None), *place)
        taken = view[index].reshape(len(positions), self.groups, self.size)
        return np.ascontiguousarray(taken.swapaxes(0, 1))

    def outputs(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        """The node's output with its positions in the order of `columns`.

        Returns:
            float32 [groups, positions, rows]; a view where one is possible.
        """
        groups, rows = self.order.shape[:2]
        if self.node.op_type not in ("Conv", "ConvTranspose"):
            return output.reshape(1, -1, rows)
        split = output.reshape(len(output), groups, rows, -1)
        return np.asarray(split.transpose(1, 0, 3, 2).reshape(groups, -1, rows))

    def _flat(self, activation: NDArray[np.float32]) -> NDArray[np.float32]:
        turned = self.node.op_type == "Gemm" and editing.attribute(self.node, "transA", 0)
        return (activation.T if turned else activation).reshape(1, -1, self.size)


def unfolded(node: ir.Node) -> Unfolded | str | None:
    """The node as dot products, why it can't be, or None if it is not linear with a weight."""
    if not editing.is_op(node, *LINEAR):
        return None
    array = _weight(node)
    if array is None or isinstance(array, str):
        return array
    groups = int(editing.attribute(node, "group", 1))
    if _automatic(node):
        return "its padding is automatic"
    positions: NDArray[np.int64] = np.arange(array.size, dtype=np.int64).reshape(array.shape)
    order: NDArray[np.int64]
    out_axis = 0
    if node.op_type == "Conv":
        order = positions.reshape(groups, array.shape[0] // groups, -1)
    elif node.op_type == "ConvTranspose":
        out_axis = 1
        split = positions.reshape(groups, -1, *array.shape[1:])
        order = np.moveaxis(split, 2, 1).reshape(groups, array.shape[1], -1)
    else:
        out_axis = 0 if editing.attribute(node, "transB", 0) else 1
        order = (positions.T if out_axis else positions)[None]
    return Unfolded(node, array, groups, out_axis, 1 - out_axis, order)


def _weight(node: ir.Node) -> NDArray[np.float32] | str | None:
    array = editing.constant(editing.input_at(node, 1))
    spatial = editing.is_op(node, "Conv", "ConvTranspose")
    if array is None:
        if spatial:
            return "the weight is not constant"
        # A product of two activations has no weight to speak of.
        first = editing.constant(editing.input_at(node, 0))
        return None if first is None else "the weight is its first operand"
    if array.dtype != np.float32:
        return "the weight is not float32"
    if array.ndim < 3 if spatial else array.ndim != 2:
        return "the weight is not a matrix" if not spatial else "the weight has no spatial axes"
    if not array.size or not np.isfinite(array).all():
        return "the weight is empty or not finite"
    groups = editing.attribute(node, "group", 1)
    if spatial and (groups < 1 or array.shape[0] % groups):
        return f"its {groups} groups do not divide the weight's {array.shape[0]} channels"
    return array


def _automatic(node: ir.Node) -> bool:
    """Whether the padding depends on the input's size in a way that is not handled here."""
    if node.op_type != "ConvTranspose":
        return False
    mode = editing.attribute(node, "auto_pad", "NOTSET")
    return "output_shape" in node.attributes or mode not in ("NOTSET", "VALID")


def _windows(layer: Unfolded, activation: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """im2col, some rows of the output at a time."""
    view, rank = _view(layer, activation), layer.array.ndim - 2
    batch, channels, *outputs = view.shape[: 2 + rank]
    per_row = max(1, batch * channels * int(np.prod([*outputs[1:], *layer.array.shape[2:]])))
    step = max(1, CHUNK // per_row)
    for start in range(0, outputs[0], step):
        part = view[:, :, start : start + step]
        # [N, g, C/g, *outputs, *kernel] to [g, N, *outputs, C/g, *kernel].
        split = part.reshape(batch, layer.groups, channels // layer.groups, *part.shape[2:])
        moved = np.moveaxis(split, (1, 2), (0, 2 + rank))
        yield np.ascontiguousarray(moved).reshape(layer.groups, -1, layer.size)


def _view(layer: Unfolded, activation: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each output position meets, [N, channels, *outputs, *kernel], without a copy."""
    node, kernel = layer.node, layer.array.shape[2:]
    rank = len(kernel)
    dilations = tuple(editing.attribute(node, "dilations") or [1] * rank)
    spans = tuple(d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True))
    strides = tuple(editing.attribute(node, "strides") or [1] * rank)
    if node.op_type == "ConvTranspose":
        padded, strides = _stuffed(node, activation, spans, strides), (1,) * rank
    else:
        padded = _pad(activation, _pads(node, activation.shape[2:], spans, strides))
    axes = tuple(range(2, 2 + rank))
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=axes)
    whole = (slice(None), slice(None))
    steps = tuple(slice(None, None, stride) for stride in strides)
    # ConvTranspose meets its kernel's last element first.
    direction = -1 if node.op_type == "ConvTranspose" else 1
    taps = tuple(slice(None, None, direction * dilation) for dilation in dilations)
    return view[whole + steps + taps]


def _pads(
    node: ir.Node, sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    mode = editing.attribute(node, "auto_pad", "NOTSET")
    rank = len(spans)
    if mode == "VALID":
        return [(0, 0)] * rank
    if mode == "NOTSET":
        pads = list(editing.attribute(node, "pads") or [0] * (2 * rank))
        return list(zip(pads[:rank], pads[rank:], strict=True))
    of_axes = []
    for size, span, stride in zip(sizes, spans, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + span - size)
        small, large = total // 2, total - total // 2
        of_axes.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return of_axes


def _stuffed(
    node: ir.Node, activation: NDArray[np.float32], spans: Sequence[int], strides: Sequence[int]
) -> NDArray[np.float32]:
    """The input of a ConvTranspose with zeros in between, so that it is a Conv of stride 1."""
    rank = len(spans)
    sizes = [s * (n - 1) + 1 for s, n in zip(strides, activation.shape[2:], strict=True)]
    stuffed = np.zeros((*activation.shape[:2], *sizes), activation.dtype)
    steps = tuple(slice(None, None, stride) for stride in strides)
    whole = (slice(None), slice(None))
    stuffed[whole + steps] = activation
    extra = editing.attribute(node, "output_padding") or [0] * rank
    pads = _pads(node, sizes, spans, strides)
    return _pad(
        stuffed,
        [
            (span - 1 - before, span - 1 - after + more)
            for span, (before, after), more in zip(spans, pads, extra, strict=True)
        ],
    )


def _pad(array: NDArray[np.float32], pads: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """`array` with zeros around its spatial axes; negative numbers crop."""
    whole = (slice(None), slice(None))
    cut = tuple(
        slice(max(0, -before), array.shape[axis] - max(0, -after))
        for axis, (before, after) in enumerate(pads, 2)
    )
    array = array[whole + cut]
    if not any(itertools.chain.from_iterable(pads)):
        return array
    return np.pad(array, [(0, 0), (0, 0), *((max(0, a), max(0, b)) for a, b in pads)])
