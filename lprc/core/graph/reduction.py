"""How a Reduce operator's axes are read and written in every opset from 13 on."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing


def reduced_axes(node: ir.Node, rank: int) -> tuple[int, ...] | None:
    """The axes that a Reduce operator reduces, from 0 and sorted; None where they can vary.

    An operator that reduces nothing (``noop_with_empty_axes``) has none: ``()``.
    """
    given = editing.input_at(node, 1)
    if given is not None:
        array = editing.constant(given)
        if array is None:
            return None
        axes = array.reshape(-1).tolist()
    else:
        axes = list(editing.attribute(node, "axes") or ())
    if not axes and editing.attribute(node, "noop_with_empty_axes", 0):
        return ()
    return tuple(sorted({int(axis) % rank for axis in axes})) or tuple(range(rank))


def reduce_mean(
    value: ir.Value, axes: tuple[int, ...], *, instead_of: ir.Node, opset: int
) -> ir.Value:
    """A new ReduceMean of `value` over `axes` that keeps the axes with size 1."""
    inputs: list[ir.Value | None] = [value]
    attributes: dict[str, object] = {"keepdims": 1}
    if opset >= 18:
        graph = instead_of.graph
        assert isinstance(graph, ir.Graph)
        inputs.append(
            editing.add_initializer(
                graph, f"{instead_of.name}_axes", np.array(axes, dtype=np.int64)
            )
        )
    else:
        attributes["axes"] = axes
    shape = None
    if value.shape is not None:
        shape = [1 if axis in axes else dim for axis, dim in enumerate(value.shape)]
    return editing.new_node(
        "ReduceMean",
        inputs,
        before=instead_of,
        sources=[instead_of],
        attributes=attributes,
        shape=shape,
    )
