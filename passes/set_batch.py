"""The batch dimension of the inputs, fixed or made symbolic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.input_dimensions import Wanted, old_batches, set_dimensions, trial_problem

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
        problem = set_dimensions(trial, self._wanted(trial)) or self._problem(model, trial)
        if problem:
            context.skip(None, problem)
        elif context.rewrite(None, f"batch {self.batch}"):
            set_dimensions(model, self._wanted(model))

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

    def _wanted(self, model: ir.Model) -> Wanted:
        dim: int | ir.SymbolicDim = (
            ir.SymbolicDim(SYMBOL) if self.batch == "dynamic" else int(self.batch)
        )
        return {value: {0: dim} for value in self._chosen(model)}

    def _problem(self, before: ir.Model, after: ir.Model) -> str | None:
        """Why `after` can't stand for `before`; None if it can."""
        olds = old_batches(self._wanted(before))
        if not olds:
            return None  # from symbolic to a number: one of the sizes that it stood for
        (old,) = olds
        new = old + 1 if self.batch == "dynamic" else int(self.batch)
        return trial_problem(before, after, old, new)
