"""Sizes of the symbolic dimensions of a graph's inputs: what they are called, and what is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import onnx_ir as ir

from lprc.core.errors import UsageError

InputSizes: TypeAlias = Mapping[str, tuple[int | None, ...]]
"""Sizes of symbolic dimensions by input name, one an axis; None where nothing is known of it."""

HOW_TO_GIVE = "give real ones with --inputs, --input-shape or --dim"


@dataclass(frozen=True)
class SymbolicDimension:
    """A size that the graph's inputs leave open.

    Attributes:
        label: Its symbol; ``INPUT:AXIS`` where it has none.
        places: The inputs and axes that have it.
    """

    label: str
    places: tuple[tuple[str, int], ...]

    @property
    def is_batch(self) -> bool:
        """Whether it is the first dimension of an input."""
        return any(axis == 0 for _, axis in self.places)


def symbolic_dimensions(model: ir.Model) -> list[SymbolicDimension]:
    """The open sizes of a model's inputs, in the order of the inputs and axes."""
    places: dict[str, list[tuple[str, int]]] = {}
    for value in model.graph.inputs:
        if value.name is None or value.shape is None or value.is_initializer():
            continue
        for axis, dim in enumerate(value.shape):
            if isinstance(dim, ir.SymbolicDim):
                label = f"{value.name}:{axis}" if dim.value is None else str(dim.value)
                places.setdefault(label, []).append((value.name, axis))
    return [SymbolicDimension(label, tuple(where)) for label, where in places.items()]


def sizes_of(
    dimensions: list[SymbolicDimension], by_label: Mapping[str, int], base: InputSizes | None = None
) -> dict[str, tuple[int | None, ...]]:
    """`base` with the sizes of `by_label` besides, where it says nothing itself."""
    tables: dict[str, dict[int, int | None]] = {
        name: dict(enumerate(sizes)) for name, sizes in (base or {}).items()
    }
    for dimension in dimensions:
        if dimension.label in by_label:
            for name, axis in dimension.places:
                table = tables.setdefault(name, {})
                if table.get(axis) is None:
                    table[axis] = by_label[dimension.label]
    return {
        name: tuple(table.get(axis) for axis in range(max(table, default=-1) + 1))
        for name, table in tables.items()
    }


def given_sizes(model: ir.Model, by_name: Mapping[str, int], where: str) -> InputSizes:
    """Sizes by input; arguments and errors as of `given_by_label`."""
    return sizes_of(symbolic_dimensions(model), given_by_label(model, by_name, where))


def given_by_label(model: ir.Model, by_name: Mapping[str, int], where: str) -> dict[str, int]:
    """Sizes that were given by names of dimensions, by their labels.

    Args:
        model: The graph.
        by_name: A size by symbol, or by ``INPUT:AXIS``.
        where: What to call the graph in errors.

    Raises:
        UsageError: A size below 1, or a dimension that the inputs do not leave open.
    """
    dimensions = symbolic_dimensions(model)
    by_place = {
        f"{name}:{axis}": dimension.label
        for dimension in dimensions
        for name, axis in dimension.places
    }
    labels = {dimension.label: dimension.label for dimension in dimensions}
    sizes: dict[str, int] = {}
    for name, size in by_name.items():
        label = labels.get(name) or by_place.get(name)
        if label is None:
            raise UsageError(
                f"{where} has no symbolic dimension '{name}'",
                where="--dim",
                hint=f"it has {listed(dimensions)}",
                option="--dim",
            )
        if size < 1:
            raise UsageError(f"'{name}' can't be {size}", where="--dim", option="--dim")
        sizes[label] = size
    return sizes


def listed(dimensions: list[SymbolicDimension]) -> str:
    """What a model leaves open, for a hint."""
    texts = [
        f"'{dimension.label}' ({', '.join(f'{name}:{axis}' for name, axis in dimension.places)})"
        for dimension in dimensions
    ]
    return ", ".join(texts) or "none: all its sizes are fixed"


def size_texts(sizes: Mapping[str, int]) -> str:
    """Sizes by label, for a message: ``height=32, width=32``."""
    return ", ".join(f"{label}={size}" for label, size in sizes.items())
