"""The batch dimension of the inputs, fixed or made symbolic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.graph import editing, shapes
from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.running.numerics import RunError, run
from lprc.core.running.random_inputs import NoInputsError, random_inputs

SYMBOL = "batch"


@dataclass(frozen=True)
class SetBatch(Pass):
    """Give the first dimension of every input a number, or the symbol ``batch``.

    Reshapes with the old batch written into them are freed of it. A fixed batch that becomes
    another one (or symbolic) is tried out on a copy in ONNX Runtime first; a graph that does not
    follow is left alone as a whole. Inputs without dimensions are left out.
    """

    name = "set-batch"
    contract = exact_everywhere
    batch: int | str = option(1, "a number, or `dynamic`")
    inputs: tuple[str, ...] = option((), "only these inputs; none means all")
    symbolic: bool = option(False, "only inputs whose first dimension is symbolic")

    def __post_init__(self) -> None:
        """Refuse a batch that is neither."""
        if self.batch != "dynamic" and (not isinstance(self.batch, int) or self.batch < 1):
            raise ValueError(f"batch must be a number of at least 1 or 'dynamic', not {self.batch}")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Set the batch, if the graph follows."""
        if not self._pending(model):
            return
        trial = model.clone()
        problem = self._apply(trial) or self._problem(model, trial)
        if problem:
            context.skip(None, problem)
        elif context.rewrite(None, f"batch {self.batch}"):
            self._apply(model)

    def _chosen(self, model: ir.Model) -> Iterator[ir.Value]:
        for value in model.graph.inputs:
            named = not self.inputs or value.name in self.inputs
            if self.symbolic and editing.dimension(value, 0) is not None:
                continue
            if named and not value.is_initializer() and editing.rank(value):
                yield value

    def _pending(self, model: ir.Model) -> bool:
        """Whether any input's batch is not yet what it should be."""
        return any(
            editing.dimension(value, 0) != (None if self.batch == "dynamic" else self.batch)
            for value in self._chosen(model)
        )

    def _apply(self, model: ir.Model) -> str | None:
        """Set the batch in place; return what makes that impossible."""
        olds = {editing.dimension(value, 0) for value in self._chosen(model)} - {None}
        if len(olds) > 1:
            return "inputs have different batches"
        dim: int | ir.SymbolicDim = (
            ir.SymbolicDim(SYMBOL) if self.batch == "dynamic" else int(self.batch)
        )
        for value in self._chosen(model):
            assert value.shape is not None
            value.shape = ir.Shape([dim, *list(value.shape)[1:]])
        for old in olds - {self.batch}:
            assert old is not None
            _free_reshapes(model, old)
        return _infer_again(model)

    def _problem(self, before: ir.Model, after: ir.Model) -> str | None:
        """Why `after` can't stand for `before`; None if it can."""
        olds = {editing.dimension(value, 0) for value in self._chosen(before)} - {None}
        if not olds:
            return None  # from symbolic to a number: one of the sizes that it stood for
        (old,) = olds
        assert old is not None
        new = old + 1 if self.batch == "dynamic" else int(self.batch)
        try:
            was = run(before, random_inputs(before))
            now = run(after, random_inputs(after, batch=new))
        except (RunError, NoInputsError):
            return f"does not run at batch {new}"
        for name, array in was.items():
            expected = (array.shape[0] * new // old, *array.shape[1:]) if array.ndim else ()
            if array.ndim and array.shape[0] % old == 0 and now[name].shape != expected:
                return f"output '{name}' does not follow the batch"
        return None


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
    for graph in editing.graphs(model):
        for node in graph:
            for value in node.outputs:
                value.shape = None
    try:
        inferred = shapes.infer(model)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        return f"shape inference: {str(error).splitlines()[0][:160]}"
    for graph in editing.graphs(model):
        for node in graph:
            for value in node.outputs:
                if value.name in inferred:
                    shapes.refine(value, inferred[value.name])
    return None
