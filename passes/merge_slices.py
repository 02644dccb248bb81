"""Slice of Slice, as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext

Cut = tuple[int, int, int]
"""Where along one axis a Slice starts and ends, and its step."""

_FAR = 2**62
"""Behind the end of any axis."""


@dataclass(frozen=True)
class MergeSlices(Pass):
    """Make one Slice of two in a row, of the same axis or of different ones.

    Starts, ends and steps must be constant. Along one axis both go forwards, and count from the
    front, or its size is known. Where several nodes use the first Slice, all must be such.
    Operator set 10 or later.

    Enters subgraphs.
    """

    name = "merge-slices"
    contract = exact_everywhere
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Merge in one sweep, inputs first, so that chains end as one."""
        if editing.opset_version(model) < 10:
            return
        for graph in editing.graphs(model):
            for node in list(graph):
                if editing.is_op(node, "Slice") and node.graph is graph:
                    _merge(node, context)


def _merge(node: ir.Node, context: PassContext) -> None:
    value = node.inputs[0]
    inner = value.producer() if value is not None else None
    if value is None or inner is None or not editing.is_op(inner, "Slice"):
        return
    first, second, source = _cuts(inner), _cuts(node), inner.inputs[0]
    if value.is_graph_output() or not all(_slices(use.node, value) for use in value.uses()):
        context.skip(node, "not only Slices use the Slice in front")
    elif inner.graph is not node.graph:
        context.skip(node, "the Slice in front is outside")
    elif first is not None and second is not None and source is not None:
        cuts = _merged(first, second, source)
        if cuts is None:
            context.skip(node, "where it starts and ends is not known")
        elif context.rewrite(node, f"merged with {inner.name}"):
            _put(node, source, cuts, inner)


def _slices(user: ir.Node, value: ir.Value) -> bool:
    return editing.is_op(user, "Slice") and user.inputs[0] is value


def _cuts(node: ir.Node) -> dict[int, Cut] | None:
    """What the Slice does along each axis, counted from the front; None where not constant."""
    parts = [editing.input_at(node, index) for index in range(1, 5)]
    starts, ends, axes, steps = map(editing.constant, parts)
    rank = editing.rank(node.inputs[0])
    if starts is None or ends is None or rank is None:
        return None
    if (parts[2] is not None and axes is None) or (parts[3] is not None and steps is None):
        return None
    count = starts.size
    named = range(count) if axes is None else [int(axis) % rank for axis in axes.reshape(-1)]
    strides = np.ones(count, np.int64) if steps is None else steps
    rows = zip(starts.reshape(-1), ends.reshape(-1), strides.reshape(-1), strict=True)
    return {axis: (int(a), int(b), int(c)) for axis, (a, b, c) in zip(named, rows, strict=True)}


def _merged(
    first: dict[int, Cut], second: dict[int, Cut], source: ir.Value
) -> dict[int, Cut] | None:
    cuts = dict(first)
    for axis, cut in second.items():
        if axis in first:
            both = _in_a_row(first[axis], cut, editing.dimension(source, axis))
            if both is None:
                return None
            cut = both
        cuts[axis] = cut
    return cuts


def _in_a_row(first: Cut, second: Cut, size: int | None) -> Cut | None:
    """``x[first][second]`` along one axis as one."""
    if min(first[2], second[2]) < 1:
        return None
    if size is not None:
        first = _from_the_front(first, size)
        second = _from_the_front(second, len(range(*first)))
    (start, end, step), (start_2, end_2, step_2) = first, second
    if min(start, end, start_2, end_2) < 0:
        return None
    return start + start_2 * step, min(end, start + min(end_2, _FAR // step) * step), step * step_2


def _from_the_front(cut: Cut, size: int) -> Cut:
    """A cut that goes forwards with its ends inside of the axis."""
    return slice(*cut).indices(size)


def _put(node: ir.Node, source: ir.Value, cuts: dict[int, Cut], inner: ir.Node) -> None:
    graph, output = node.graph, node.outputs[0]
    assert isinstance(graph, ir.Graph)
    columns = [*zip(*cuts.values(), strict=True)]
    arrays = {"starts": columns[0], "ends": columns[1], "axes": tuple(cuts), "steps": columns[2]}
    inputs = [
        editing.add_initializer(graph, f"{node.name}_{word}", np.array(numbers, np.int64))
        for word, numbers in arrays.items()
    ]
    new = editing.new_node(
        "Slice", [source, *inputs], before=node, sources=[inner, node], shape=output.shape
    )
    editing.replace_value(output, new)
    editing.remove_dead([node])
