"""The forms in which exporters write a MaxPool whose windows also run along channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import GLOBAL_POOLS, NORMALIZATIONS, POOLS, SOFTMAX, UNARY

Form = Literal["volume", "flat", "transposed"]

_KEEPS_RANK = (
    UNARY | POOLS | GLOBAL_POOLS | NORMALIZATIONS | SOFTMAX
    | {"BatchNormalization", "Concat", "PRelu", "Pad", "Slice", "Transpose"}
)  # fmt: skip
"""Operators whose result has the rank of their first input."""


@dataclass(frozen=True)
class Window:
    """The window of a MaxPool along one axis."""

    kernel: int = 1
    stride: int = 1
    pad_begin: int = 0
    pad_end: int = 0
    dilation: int = 1

    @property
    def is_idle(self) -> bool:
        """Whether the axis passes unchanged."""
        return self == Window(dilation=self.dilation)


@dataclass(frozen=True)
class ChannelPool:
    """A MaxPool over channels, height and width of a 4-D tensor, however it is written.

    Attributes:
        node: The MaxPool.
        form: ``volume`` (a 5-D MaxPool between Unsqueeze and Squeeze, or Reshapes), ``flat``
            (three-element attributes on a 4-D tensor, which is not valid ONNX) or ``transposed``
            (a 2-D MaxPool between Transposes).
        source: The 4-D tensor [N, C, H, W] that is pooled.
        windows: Of the channel, the height and the width axis.
        axis: Where the ``volume`` form inserts its axis of size 1.
        permutation: How the ``transposed`` form transposes `source`.
    """

    node: ir.Node
    form: Form
    source: ir.Value
    windows: tuple[Window, Window, Window]
    axis: int = 0
    permutation: tuple[int, ...] = ()

    def undone_by(self, node: ir.Node) -> bool:
        """Whether `node` gives the pooled tensor the layout of `source` back."""
        if self.form == "volume":
            return _removes_axis(node, self.axis)
        order = editing.attribute(node, "perm") if editing.is_op(node, "Transpose") else None
        if self.form == "flat" or order is None:
            return False
        return [self.permutation[axis] for axis in order] == [0, 1, 2, 3]


def ranks(graph: ir.Graph) -> dict[ir.Value, int]:
    """The ranks of the values of `graph` that follow from shapes, or without them from operators.

    Shape inference stops at the first invalid MaxPool; this goes on behind it.
    """
    rank_of: dict[ir.Value, int] = {}
    for node in graph:
        for value in (*node.inputs, *node.outputs):
            if value is not None and value.shape is not None:
                rank_of[value] = len(value.shape)
        output = node.outputs[0] if node.outputs else None
        if output is None or output in rank_of:
            continue
        if editing.is_op(node, "Conv", "ConvTranspose"):
            like = editing.input_at(node, 1)
        elif editing.is_op(node, *_KEEPS_RANK):
            like = editing.input_at(node, 0)
        else:
            continue
        if like in rank_of:
            rank_of[output] = rank_of[like]
    return rank_of


def match(node: ir.Node, ranks: dict[ir.Value, int]) -> ChannelPool | None:
    """`node` as a pool over channels, or None if it is not a MaxPool in one of the forms."""
    source = editing.input_at(node, 0)
    if not editing.is_op(node, "MaxPool") or source is None:
        return None
    windows = _windows(node)
    if len(windows) == 3:
        return _match_three(node, source, ranks.get(source), windows)
    if len(windows) == 2:
        return _match_transposed(node, source, windows)
    return None


def _windows(node: ir.Node) -> tuple[Window, ...]:
    kernel = editing.attribute(node, "kernel_shape", ())
    count = len(kernel)
    strides = editing.attribute(node, "strides") or [1] * count
    dilations = editing.attribute(node, "dilations") or [1] * count
    pads = editing.attribute(node, "pads") or [0] * (2 * count)
    columns = zip(kernel, strides, pads[:count], pads[count:], dilations, strict=False)
    found = tuple(Window(*column) for column in columns)
    return found if len(found) == count else ()


def _match_three(
    node: ir.Node, source: ir.Value, rank: int | None, windows: tuple[Window, ...]
) -> ChannelPool | None:
    channel, height, width = windows
    if rank == 4:
        return ChannelPool(node, "flat", source, (channel, height, width))
    inserted = _inserted_axis(source.producer()) if rank in (5, None) else None
    if inserted is None:
        return None
    inner, axis = inserted
    return ChannelPool(node, "volume", inner, (channel, height, width), axis=axis)


def _match_transposed(
    node: ir.Node, source: ir.Value, windows: tuple[Window, ...]
) -> ChannelPool | None:
    transpose = source.producer()
    if transpose is None or not editing.is_op(transpose, "Transpose"):
        return None
    inner = transpose.inputs[0]
    order = editing.attribute(transpose, "perm")
    if inner is None or order is None or len(order) != 4 or 0 in order[2:]:
        return None
    of_axis = {order[2]: windows[0], order[3]: windows[1]}
    if 1 not in of_axis or of_axis[1].is_idle:
        return None
    channel, height, width = (of_axis.get(axis, Window()) for axis in (1, 2, 3))
    return ChannelPool(
        node, "transposed", inner, (channel, height, width), permutation=tuple(order)
    )


def _inserted_axis(node: ir.Node | None) -> tuple[ir.Value, int] | None:
    """Which 4-D tensor `node` gives a new axis of size 1, in front of or behind the batch."""
    if node is None or node.inputs[0] is None:
        return None
    inner = node.inputs[0]
    if editing.is_op(node, "Unsqueeze"):
        axes = editing.constant(editing.input_at(node, 1))
        if axes is None or axes.size != 1 or editing.rank(inner) not in (4, None):
            return None
        axis = int(axes.item()) % 5
        return (inner, axis) if axis in (0, 1) else None
    if editing.is_op(node, "Reshape"):
        for axis in (0, 1):
            if _reshape_is(node, inner.shape, node.outputs[0].shape, insert=axis):
                return inner, axis
    return None


def _removes_axis(node: ir.Node, axis: int) -> bool:
    output = node.outputs[0] if node.outputs else None
    if editing.is_op(node, "Squeeze"):
        axes = editing.constant(editing.input_at(node, 1))
        if axes is None:
            # Without axes every axis of size 1 goes; four axes left mean that it was one.
            return editing.input_at(node, 1) is None and editing.rank(output) == 4
        return axes.size == 1 and int(axes.item()) % 5 == axis
    if editing.is_op(node, "Reshape") and node.inputs[0] is not None and output is not None:
        return _reshape_is(node, node.inputs[0].shape, output.shape, remove=axis)
    return False


def _reshape_is(
    node: ir.Node,
    before: ir.Shape | None,
    after: ir.Shape | None,
    *,
    insert: int | None = None,
    remove: int | None = None,
) -> bool:
    """Whether a Reshape only inserts, or only removes, an axis of size 1."""
    if before is None or len(before) != (4 if remove is None else 5):
        return False
    expected = list(before)
    if insert is not None:
        expected.insert(insert, 1)
    if remove is not None and expected.pop(remove) != 1:
        return False
    if after is not None and len(after) == len(expected):
        pairs = zip(after, expected, strict=True)
        if all(got == want and _is_named(got) for got, want in pairs):
            return True
    return _targets(node, list(before), expected)


def _targets(
    node: ir.Node,
    before: list[int | ir.SymbolicDim],
    expected: list[int | ir.SymbolicDim],
) -> bool:
    """Whether a Reshape's constant target means the dimensions `expected`."""
    target = editing.constant(editing.input_at(node, 1))
    if target is None or editing.attribute(node, "allowzero", 0) or target.size != len(expected):
        return False
    unknown = 0
    for position, (got, want) in enumerate(zip(target.tolist(), expected, strict=True)):
        copied = got == 0 and position < len(before) and before[position] == want
        if got == -1:
            unknown += 1
        elif got != want and not (copied and _is_named(want)):
            return False
    return unknown <= 1


def _is_named(dim: int | ir.SymbolicDim) -> bool:
    return isinstance(dim, int) or dim.value is not None
