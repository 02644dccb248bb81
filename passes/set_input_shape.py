"""Shapes of inputs, fixed in the graph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.input_dimensions import Wanted, old_batches, set_dimensions, trial_problem

_SHAPE = re.compile(
    r"(?:(?P<name>.+):)?(?P<dims>(?:[1-9]\d*|\?)(?:x(?:[1-9]\d*|\?))*)\Z", re.DOTALL
)


@dataclass(frozen=True)
class SetInputShape(Pass):
    """Give inputs whose sizes are open the sizes of a shape, wherever their symbols stand.

    A first dimension that is fixed becomes another one as `set-batch` does it: Reshapes are freed
    of it, and a copy is tried out. Other dimensions that are fixed stay, and so does the graph.
    """

    name = "set-input-shape"
    contract = exact_everywhere
    shapes: tuple[str, ...] = option(
        (), "NAME:1x3x640x640 of an input, ? for what stays open; the only input needs no name"
    )

    def __post_init__(self) -> None:
        """Refuse what is no shape."""
        for text in self.shapes:
            if _SHAPE.match(text) is None:
                raise ValueError(f"'{text}' is not a shape, such as image:1x3x640x640")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Set the shapes, if the graph follows."""
        trial = model.clone()
        problem = self._mismatch(trial) or self._apply(trial) or self._problem(model, trial)
        if problem:
            context.skip(None, problem)
        elif self._wanted(model) and context.rewrite(None, ", ".join(self.shapes)):
            self._apply(model)

    def _apply(self, model: ir.Model) -> str | None:
        return set_dimensions(model, self._wanted(model), symbols=True)

    def _asked(self, model: ir.Model) -> Iterator[tuple[str, ir.Value | None, list[int | None]]]:
        """Each shape's name, its input and its sizes, None for those that stay."""
        inputs = {
            value.name or "": value for value in model.graph.inputs if not value.is_initializer()
        }
        for text in self.shapes:
            match = _SHAPE.match(text)
            assert match is not None
            only = next(iter(inputs)) if len(inputs) == 1 else ""
            name = match["name"] if match["name"] is not None else only
            dims = match["dims"].split("x")
            yield name, inputs.get(name), [None if dim == "?" else int(dim) for dim in dims]

    def _mismatch(self, model: ir.Model) -> str | None:
        """Which shape does not fit its input."""
        for name, value, sizes in self._asked(model):
            if value is None:
                return f"there is no input '{name}'" if name else "which input is not said"
            rank = editing.rank(value)
            if rank != len(sizes):
                return f"'{name}' has {'no known' if rank is None else rank} dimensions"
            for axis, size in enumerate(sizes):
                fixed = editing.dimension(value, axis)
                if axis and None not in (fixed, size) and fixed != size:
                    return f"axis {axis} of '{name}' is fixed to {fixed}"
        return None

    def _wanted(self, model: ir.Model) -> Wanted:
        """The dimensions that are to change."""
        changes = {
            value: {
                axis: size
                for axis, size in enumerate(sizes)
                if size is not None and editing.dimension(value, axis) != size
            }
            for _, value, sizes in self._asked(model)
            if value is not None
        }
        return {value: dims for value, dims in changes.items() if dims}

    def _problem(self, before: ir.Model, after: ir.Model) -> str | None:
        """Why the graph does not take another batch than the one that is written in it."""
        wanted = self._wanted(before)
        olds = old_batches(wanted)
        if not olds:
            return None
        (old,) = olds
        news = {dims[0] for dims in wanted.values() if 0 in dims}
        if len(news) > 1:
            return "inputs would have different batches"
        (new,) = news
        assert isinstance(new, int)
        return trial_problem(before, after, old, new)
