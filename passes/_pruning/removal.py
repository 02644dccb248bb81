"""Take channels out of a graph."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.passes._pruning.cuts import ConstantEdit
from lprc.passes._pruning.edits import Keep, drop
from lprc.passes._pruning.trace import Trace


def remove(trace: Trace, keep: Keep) -> None:
    """Change the graph that `trace` is of so that only the atoms in `keep` are left.

    Constants that several nodes read alike go on being one.

    Args:
        trace: Of the graph as it is.
        keep: bool [atoms]. Every axis must keep some, and no protected atom may go.
    """
    # First the shapes: what an edit inserts takes them over.
    _shapes(trace, keep)
    cuts: dict[tuple[ir.Node, int], list[ConstantEdit]] = {}
    for edit in trace.edits:
        if not edit.touches(keep):
            continue
        if isinstance(edit, ConstantEdit):
            cuts.setdefault((edit.node, edit.index), []).append(edit)
        else:
            edit.apply(keep)
    _cut(cuts, keep)


def _shapes(trace: Trace, keep: Keep) -> None:
    for value, axes in trace.labels.items():
        if value.shape is None:
            continue
        dims = list(value.shape)
        for axis, labels in axes.items():
            if axis < len(dims) and isinstance(dims[axis], int):
                dims[axis] = int(keep[labels].sum())
        if dims != list(value.shape):
            value.shape = ir.Shape(dims)


def _cut(cuts: dict[tuple[ir.Node, int], list[ConstantEdit]], keep: Keep) -> None:
    smaller_weights: dict[tuple[ir.Value, tuple[bytes, ...]], ir.Value] = {}
    for (node, index), edits in cuts.items():
        old = node.inputs[index]
        assert old is not None
        key = (old, tuple(edit.key(keep) for edit in edits))
        if key not in smaller_weights:
            smaller_weights[key] = editing.add_initializer(
                _graph(node), str(old.name), _smaller(old, edits, keep)
            )
        node.replace_input_with(index, smaller_weights[key])
        drop(old, smaller_weights[key])


def _smaller(value: ir.Value, edits: list[ConstantEdit], keep: Keep) -> NDArray[Any]:
    array = editing.constant(value)
    assert array is not None
    for edit in edits:
        array = edit.cut(array, keep)
    return array


def _graph(node: ir.Node) -> ir.Graph:
    assert isinstance(node.graph, ir.Graph)
    return node.graph
