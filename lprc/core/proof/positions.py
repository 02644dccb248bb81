"""Windows that do the same at every position, so that one position stands for all."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.printer import attribute_text
from lprc.core.proof.cuts import Cut
from lprc.core.proof.numbering import Numbering
from lprc.core.proof.semantics import MEANINGS, Meaning

MOST_NODES = 20

_GEOMETRY = ("auto_pad", "dilations", "pads", "strides")


def at_one_position(
    cut: Cut, numbering: Numbering, opened: frozenset[int]
) -> dict[int, tuple[int, ...]] | None:
    """Shapes for the inputs of a window with which it shows all that its own would show.

    Two kinds of windows have such:

    - Operators that map elements, and constants that are one number along an axis: what holds at
      one place of that axis holds at all, so the axis gets size 1.
    - Convs of the one input, all with the same kernel size, strides, dilations and padding, and
      behind them operators that map elements, with constants for each channel at most: an output
      depends on its patch of the input alone, in the same way at all positions, and both sides have
      the same patches. What holds for any numbers in a patch holds for those with padding too. So
      the input is one patch.

    Args:
        cut: The values that the window ends with.
        numbering: Of both graphs.
        opened: Common values that the window looks behind.

    Returns:
        Shapes by number; None where the window is of neither kind.
    """
    outline = _Outline(numbering, opened)
    if not (outline.add(cut[0]) and outline.add(cut[1])) or not outline.boundary:
        return None
    convs = [node for node in outline.nodes if editing.is_op(node, "Conv")]
    others = [node for node in outline.nodes if not editing.is_op(node, "Conv")]
    if not all(map(_maps_elements, others)):
        return None
    shapes = {editing.static_shape(value) for value in outline.boundary.values()}
    shape = shapes.pop()
    if shapes or shape is None:
        return None
    spans = [_constant_axes(node, len(shape)) for node in others]
    axes = {axis for span in spans for axis in span}
    if convs:
        return _patch(convs, others, axes, shape, outline, numbering)
    if min(axes, default=0) < 0:
        return None
    small = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))
    return dict.fromkeys(outline.boundary, small)


class _Outline:
    """The nodes of a window, without what they compute."""

    def __init__(self, numbering: Numbering, opened: frozenset[int]) -> None:
        self.nodes: list[ir.Node] = []
        self.boundary: dict[int, ir.Value] = {}
        self._numbering, self._opened = numbering, opened
        self._seen: set[int] = set()

    def add(self, value: ir.Value) -> bool:
        """Whether the window behind `value` is small."""
        pending = [value]
        while pending:
            value = pending.pop()
            number = self._numbering.number(value)
            if number in self._seen or editing.constant(value) is not None:
                continue
            self._seen.add(number)
            node = self._numbering.behind(value, self._opened)
            if node is None:
                self.boundary[number] = self._numbering.members[number]
                continue
            self.nodes.append(node)
            pending += [used for used in node.inputs if used is not None]
            if len(self.nodes) > MOST_NODES:
                return False
        return True


def _maps_elements(node: ir.Node) -> bool:
    if node.domain not in editing.ONNX_DOMAIN or any(value.name for value in node.outputs[1:]):
        return False
    if node.op_type == "BatchNormalization":
        return all(editing.constant(value) is not None for value in node.inputs[1:])
    return node.op_type == "Identity" or MEANINGS.get(node.op_type) is Meaning.ELEMENTS


def _constant_axes(node: ir.Node, rank: int) -> set[int]:
    """The axes along which a constant of the node has several numbers; below 0 for further ones."""
    if node.op_type == "BatchNormalization":
        return {1}
    arrays = [editing.constant(value) for value in node.inputs]
    return {
        rank - array.ndim + axis
        for array in arrays
        if array is not None
        for axis, size in enumerate(array.shape)
        if size != 1 or array.ndim > rank
    }


def _patch(
    convs: list[ir.Node],
    others: list[ir.Node],
    axes: set[int],
    shape: tuple[int, ...],
    outline: _Outline,
    numbering: Numbering,
) -> dict[int, tuple[int, ...]] | None:
    if len(outline.boundary) != 1 or not axes <= {1} or len(shape) < 3:
        return None
    (source,) = outline.boundary
    reads_source = [
        value
        for node in others
        for value in node.inputs
        if value is not None and numbering.number(value) == source
    ]
    kernels = {_kernel(conv, source, numbering) for conv in convs}
    if reads_source or len(kernels) != 1:
        return None
    kernel = kernels.pop()
    return None if kernel is None else {source: (1, shape[1], *kernel[0])}


def _kernel(
    conv: ir.Node, source: int, numbering: Numbering
) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """The size of the kernel, and how it is laid over the input; None where operands vary."""
    given, *operands = conv.inputs
    weight = editing.constant(operands[0])
    constant = all(value is None or editing.constant(value) is not None for value in operands)
    if given is None or numbering.number(given) != source or weight is None or not constant:
        return None
    laid = tuple(
        attribute_text(conv.attributes[name]) if name in conv.attributes else ""
        for name in _GEOMETRY
    )
    return tuple(weight.shape[2:]), laid
