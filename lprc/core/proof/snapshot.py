"""A graph as it is between two rewrites, with all sizes that can be known."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from lprc.core.graph import editing, shapes
from lprc.core.process.worker import WorkerError


def snapshot(model: ir.Model, sizes: Mapping[str, tuple[int, ...]]) -> ir.Model:
    """A copy of `model` with its symbolic dimensions bound; weights are shared.

    Shapes between the nodes are inferred from those of the inputs; what the graph says of them
    counts only where that says nothing.

    Args:
        model: It is not changed.
        sizes: Shapes of the main graph's inputs by name; dimensions that are fixed already stay.
    """
    copy = model.clone()
    symbols = _bind_inputs(copy, sizes)
    values = [value for graph in editing.graphs(copy) for node in graph for value in node.outputs]
    written = [_bound(value.shape, symbols) for value in values]
    for value in values:
        value.shape = None
    inferred = _inferred(copy)
    for value, shape in zip(values, written, strict=True):
        better = inferred.get(value.name or "")
        if value.type is None and better is not None:
            value.type = better.type
        is_whole = better is not None and editing.static_shape(better) is not None
        value.shape = better.shape if is_whole and better is not None else shape
    return copy


def _bind_inputs(model: ir.Model, sizes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Give the inputs their shapes; what size each symbol has then."""
    symbols: dict[str, int] = {}
    for value in model.graph.inputs:
        own = sizes.get(value.name or "")
        if value.shape is None or own is None or len(own) != len(value.shape):
            continue
        dims: list[int] = []
        for dim, size in zip(value.shape, own, strict=True):
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                symbols[str(dim.value)] = size
            dims.append(dim if isinstance(dim, int) else size)
        value.shape = ir.Shape(dims)
    return symbols


def _bound(shape: ir.Shape | None, symbols: Mapping[str, int]) -> ir.Shape | None:
    if shape is None:
        return None
    return ir.Shape(
        [dim if isinstance(dim, int) else symbols.get(str(dim.value), dim.value) for dim in shape]
    )


def _inferred(model: ir.Model) -> dict[str, ir.Value]:
    """What ONNX infers; nothing where it can't: the windows that need it say what they miss."""
    try:
        return shapes.infer(model)
    except (onnx.shape_inference.InferenceError, RuntimeError, WorkerError):
        return {}
