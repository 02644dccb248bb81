"""Dimensions of the inputs that get other sizes, and what follows from that in the graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.graph import editing, shapes
from lprc.core.running.numerics import RunError, run
from lprc.core.running.random_inputs import NoInputsError
from lprc.core.running.size_search import UnrunnableError, made_up_inputs

Dim = int | ir.SymbolicDim

Wanted = Mapping[ir.Value, Mapping[int, Dim]]
"""New dimensions of inputs, by axis."""


def old_batches(wanted: Wanted) -> set[int]:
    """The fixed sizes of the first dimensions that change."""
    sizes = {editing.dimension(value, 0) for value, dims in wanted.items() if 0 in dims}
    return {size for size in sizes if size is not None}


def set_dimensions(model: ir.Model, wanted: Wanted, *, symbols: bool = False) -> str | None:
    """Give inputs other dimensions, in place; return what makes that impossible.

    Args:
        model: The graph.
        wanted: The dimensions of its inputs.
        symbols: Whether a symbol that becomes a number becomes it everywhere.
    """
    olds = old_batches(wanted)
    if len(olds) > 1:
        return "inputs have different batches"
    fixed = _symbols_fixed(wanted)
    if fixed is None:
        return "one symbol would have two sizes"
    news = {dims[0] for dims in wanted.values() if 0 in dims}
    for value, dims in wanted.items():
        assert value.shape is not None
        value.shape = ir.Shape([dims.get(axis, dim) for axis, dim in enumerate(value.shape)])
    if symbols:
        for value in _inputs(model):
            value.shape = _without_symbols(value.shape, fixed)
    for old in olds - news:
        _free_reshapes(model, old)
    declared = {value: value.shape for value in model.graph.outputs}
    problem = _infer_again(model)
    for value, shape in declared.items():
        if value.shape is None:
            # An output without a shape is not valid; that of an unknown operator is not inferred.
            value.shape = _of_rank(shape) if olds else _without_symbols(shape, fixed)
    return problem


def trial_problem(before: ir.Model, after: ir.Model, old: int, new: int) -> str | None:
    """Why `after`, with another batch, can't stand for `before`; None if it can.

    Args:
        before: The graph with the batch `old`.
        after: A copy with another one, or an open one.
        old: The size that was written in the file.
        new: A size to try.
    """
    try:
        arrays = made_up_inputs(after, batch=new)
        sizes = {name: (None, *array.shape[1:]) for name, array in arrays.items() if array.ndim}
        was = run(before, made_up_inputs(before, sizes=sizes))
        now = run(after, arrays)
    except (RunError, NoInputsError, UnrunnableError):
        return f"does not run at batch {new}"
    for name, array in was.items():
        expected = (array.shape[0] * new // old, *array.shape[1:]) if array.ndim else ()
        if array.ndim and array.shape[0] % old == 0 and now[name].shape != expected:
            return f"output '{name}' does not follow the batch"
    return None


def _symbols_fixed(wanted: Wanted) -> dict[str, int] | None:
    """The symbols that become numbers; None where one would become two."""
    fixed: dict[str, int] = {}
    for value, dims in wanted.items():
        assert value.shape is not None
        for axis, new in dims.items():
            old = value.shape[axis]
            if isinstance(old, int) or old.value is None or not isinstance(new, int):
                continue
            if fixed.setdefault(str(old.value), new) != new:
                return None
    return fixed


def _inputs(model: ir.Model) -> list[ir.Value]:
    return [value for graph in editing.graphs(model) for value in graph.inputs]


def _without_symbols(shape: ir.Shape | None, fixed: Mapping[str, int]) -> ir.Shape | None:
    if shape is None:
        return None
    return ir.Shape(
        [
            fixed.get(str(dim.value), dim) if isinstance(dim, ir.SymbolicDim) else dim
            for dim in shape
        ]
    )


def _free_reshapes(model: ir.Model, old: int) -> None:
    """Let a Reshape that keeps the batch copy it (0) instead of naming it."""
    for node in model.graph:
        target = editing.constant(editing.input_at(node, 1)) if node.op_type == "Reshape" else None
        keeps = editing.dimension(node.inputs[0], 0) == old if target is not None else False
        if target is None or not target.size or target[0] != old or not keeps:
            continue
        if editing.attribute(node, "allowzero", 0):
            continue
        # With a batch of 1, [1, -1] may also mean to fold the batch; the trial run decides.
        freed = np.concatenate([[0], target[1:]]).astype(np.int64)
        value = node.inputs[1]
        assert value is not None
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        node.replace_input_with(1, editing.add_initializer(graph, f"{value.name}_free", freed))
        editing.remove_dead_initializer(value)


def _infer_again(model: ir.Model) -> str | None:
    """Forget all inferred shapes and infer them anew; return the contradiction, if any."""
    results = [value for graph in editing.graphs(model) for node in graph for value in node.outputs]
    for value in results:
        value.shape = None
    try:
        inferred = shapes.infer(model)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        return f"shape inference: {str(error).splitlines()[0][:160]}"
    for value in results:
        if value.name in inferred:
            shapes.refine(value, inferred[value.name])
    return None


def _of_rank(shape: ir.Shape | None) -> ir.Shape | None:
    return None if shape is None else ir.Shape([None] * len(shape))
