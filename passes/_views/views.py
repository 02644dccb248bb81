"""Nodes that put out the elements of their input in the same order, in another shape."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import RESHAPES
from lprc.passes._views.sizes import ONE, Shape, Sizes, permutation


def is_view(node: ir.Node | None, sizes: Sizes) -> bool:
    """Whether the node changes nothing but the shape: a Transpose may move axes of size 1 only."""
    if editing.is_op(node, *RESHAPES):
        return True
    return node is not None and editing.is_op(node, "Transpose") and moves_ones_only(node, sizes)


def moves_ones_only(node: ir.Node, sizes: Sizes) -> bool:
    """Whether a Transpose leaves the order of all axes that are larger than 1."""
    before, perm = sizes.of(node.inputs[0]), permutation(node)
    if before is None or perm is None or len(before) != len(perm):
        return False
    moved = [axis for axis in perm if before[axis] != ONE]
    return moved == sorted(moved)


def sources(node: ir.Node, sizes: Sizes) -> list[ir.Value]:
    """What the input of a view is a view of, the nearest first, within its graph."""
    values = []
    value = node.inputs[0]
    while value is not None:
        producer = value.producer()
        if producer is None or producer.graph is not node.graph or not is_view(producer, sizes):
            break
        value = producer.inputs[0]
        if value is not None:
            values.append(value)
    return values


def new_view(
    source: ir.Value, shape: Shape, *, before: ir.Node, from_nodes: list[ir.Node], sizes: Sizes
) -> ir.Value | None:
    """`source` in another shape by at most one new node; None where one can't say it.

    Args:
        source: What is to be shaped; operator set 13 or later.
        shape: The sizes, of as many elements as `source` has.
        before: Where to insert the node.
        from_nodes: The nodes that it stands for.
        sizes: What is known of the graph's shapes.
    """
    old = sizes.of(source)
    if old is None:
        return None
    if old == shape:
        return source
    form = _form(old, shape)
    if form is None:
        return None
    op_type, numbers = form
    graph = before.graph
    assert isinstance(graph, ir.Graph)
    word = "shape" if op_type == "Reshape" else "axes"
    array = np.array(numbers, dtype=np.int64)
    second = editing.add_initializer(graph, f"{from_nodes[0].name or op_type}_{word}", array)
    return editing.new_node(
        op_type, [source, second], before=before, sources=from_nodes, shape=written(shape)
    )


def can_view(old: Shape | None, shape: Shape) -> bool:
    """Whether `new_view` has a node for that, or needs none."""
    return old is not None and (old == shape or _form(old, shape) is not None)


def _form(old: Shape, shape: Shape) -> tuple[str, list[int]] | None:
    """The operator that makes `shape` of `old`, and its second input."""
    target = _reshape_target(old, shape)
    if target is not None:
        return "Reshape", target
    added = _inserted_ones(old, shape)
    if added is not None:
        return "Unsqueeze", added
    removed = _inserted_ones(shape, old)
    return None if removed is None else ("Squeeze", removed)


def _reshape_target(old: Shape, shape: Shape) -> list[int] | None:
    """A Reshape's second input: 0 for a dimension that stays in its place, -1 for one other."""
    target = []
    for axis, size in enumerate(shape):
        number = size.number
        if number is None:
            number = 0 if old[axis : axis + 1] == (size,) else -1
        target.append(number)
    return target if target.count(-1) <= 1 else None


def _inserted_ones(old: Shape, shape: Shape) -> list[int] | None:
    """Which axes of `shape` to leave out to get `old`, all of size 1; None where none do."""
    axes, place = [], 0
    for axis, size in enumerate(shape):
        if old[place : place + 1] == (size,):
            place += 1
        elif size == ONE:
            axes.append(axis)
        else:
            return None
    return axes if place == len(old) else None


def written(shape: Shape) -> list[int | str | None]:
    """A shape as ONNX writes it, which has no word for products of names."""
    return [size.name if size.number is None else size.number for size in shape]
