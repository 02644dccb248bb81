"""Inputs made from a seed that a graph can run on: right shapes, types and ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import LprcError
from lprc.core.graph import editing, operators
from lprc.core.running.input_sizes import InputSizes


class NoInputsError(LprcError):
    """An input for which no values can be made up."""

    exit_code = 2


UNKNOWN_DIMENSION = 2
"""The size given to a dimension of which nothing is known."""

MAX_ELEMENTS = 1 << 28


def random_inputs(
    model: ir.Model,
    *,
    seed: int = 0,
    batch: int | None = None,
    sizes: InputSizes | None = None,
) -> dict[str, NDArray[Any]]:
    """Make one input for each graph input that is not an initialiser's default.

    Floats are standard normal; integers stay within what their first use allows (an index within
    the indexed axis, a legal shape for Reshape and the like, else 0 to 3); symbolic dimensions of
    one name get one size.

    Args:
        model: The graph.
        seed: Of numpy's PCG64.
        batch: The size of each input's first dimension where that is symbolic; by default 2.
        sizes: Sizes of symbolic dimensions that are known; they come before `batch`.

    Raises:
        NoInputsError: An input that is no tensor, has no type or rank, or is absurdly large.
    """
    generator = np.random.default_rng(seed)
    by_symbol = _by_symbol(model, sizes or {})
    inputs = {}
    for value in model.graph.inputs:
        if value.name is None or value.is_initializer():
            continue
        own = (sizes or {}).get(value.name, ())
        inputs[value.name] = _make(value, own, by_symbol, batch, generator)
    return inputs


def _by_symbol(model: ir.Model, sizes: InputSizes) -> dict[str, int]:
    """The sizes of symbols that are known at one of their places, and so at all."""
    return {
        str(dim.value): size
        for value in model.graph.inputs
        for dim, size in zip(value.shape or (), sizes.get(value.name or "", ()), strict=False)
        if isinstance(dim, ir.SymbolicDim) and dim.value is not None and size is not None
    }


def _make(
    value: ir.Value,
    own: tuple[int | None, ...],
    by_symbol: dict[str, int],
    batch: int | None,
    generator: np.random.Generator,
) -> NDArray[Any]:
    where = f"input '{value.name}'"
    hint = "give real inputs, or verify=off"
    if not isinstance(value.type, ir.TensorType) or value.dtype is None:
        raise NoInputsError("is not a tensor of a known type", where=where, hint=hint)
    if value.shape is None:
        raise NoInputsError("has no shape", where=where, hint=hint)
    own_sizes = (*own, *[None] * len(value.shape))
    shape = [
        _size(dim, own_sizes[axis], by_symbol, batch if axis == 0 else None)
        for axis, dim in enumerate(value.shape)
    ]
    if math.prod(shape) > MAX_ELEMENTS:
        raise NoInputsError(f"has {math.prod(shape)} elements", where=where, hint=hint)
    return _values(value, shape, generator, where)


def _size(
    dim: int | ir.SymbolicDim, known: int | None, by_symbol: dict[str, int], batch: int | None
) -> int:
    if isinstance(dim, int):
        return dim
    default = UNKNOWN_DIMENSION if batch is None else batch
    size = default if known is None else known
    return size if dim.value is None else by_symbol.setdefault(str(dim.value), size)


def _values(
    value: ir.Value, shape: list[int], generator: np.random.Generator, where: str
) -> NDArray[Any]:
    dtype = value.dtype
    assert dtype is not None
    if dtype == ir.DataType.BOOL:
        return np.asarray(generator.random(shape) < 0.5)
    if dtype == ir.DataType.STRING:
        return generator.choice(np.array(["a", "b", "c"], dtype=object), shape)
    role = _role(value)
    if role is not None and (dtype.is_floating_point() or dtype.is_integer()):
        return np.asarray(role(math.prod(shape)), dtype=dtype.numpy()).reshape(shape)
    if dtype.is_floating_point():
        return np.asarray(generator.standard_normal(shape), dtype=dtype.numpy())
    if dtype.is_integer():
        limit = 256 if dtype == ir.DataType.UINT8 else _integer_limit(value)
        return np.asarray(generator.integers(0, limit, shape), dtype=dtype.numpy())
    raise NoInputsError(f"is of type {dtype.name}", where=where, hint="give real inputs")


def _ones(count: int) -> list[int]:
    return [1] * count


def _counting(count: int) -> list[int]:
    return list(range(count))


def _free_first(count: int) -> list[int]:
    """A shape that takes any number of elements."""
    return [-1, *_ones(count - 1)] if count else []


_ROLES: dict[tuple[str, int], Callable[[int], list[int]]] = {
    ("ConstantOfShape", 0): _ones,
    ("CumSum", 1): lambda count: [0] * count,
    ("Expand", 1): _ones,
    ("GRU", 4): _ones,
    ("LSTM", 4): _ones,
    ("OneHot", 1): lambda count: [4] * count,
    ("RNN", 4): _ones,
    ("Range", 2): _ones,
    ("Reshape", 1): _free_first,
    ("Resize", 2): _ones,
    ("Resize", 3): _ones,
    ("ReverseSequence", 1): _ones,
    ("Slice", 3): _counting,
    ("Slice", 4): _ones,
    ("Tile", 1): _ones,
    ("TopK", 1): _ones,
    ("Unsqueeze", 1): _counting,
}
"""Inputs of operators that random numbers would break, and what is legal there."""


def _role(value: ir.Value) -> Callable[[int], list[int]] | None:
    for use in value.uses():
        axes = use.idx == 1 and use.node.op_type.startswith("Reduce")
        found = _counting if axes else _ROLES.get((use.node.op_type, use.idx))
        if found is not None:
            return found
    return None


_INDEXED = {"Gather": 1, "GatherElements": 1, "GatherND": 1, "ScatterElements": 1, "ScatterND": 1}

_SAME_NUMBERS = operators.MOVES | {"Cast", "Identity"}
"""Operators that put out numbers of their first input."""

_SMALL = 4
"""One more than the largest integer of which nothing is known."""


def _integer_limit(value: ir.Value) -> int:
    """One more than the largest value that every use of an integer input allows.

    An input that is only ever looked up in tables takes all of their rows.
    """
    uses = list(_uses(value))
    limits = [limit for node, index in uses if (limit := _rows(node, index)) is not None]
    if len(limits) < len(uses) or not uses:
        limits.append(_SMALL)
    return max(1, min(limits))


def _uses(value: ir.Value) -> Iterator[tuple[ir.Node, int]]:
    """The uses of a value, and of what has the same numbers."""
    pending, seen = [value], {value}
    while pending:
        for use in pending.pop().uses():
            if use.idx == 0 and use.node.op_type in _SAME_NUMBERS:
                new = [output for output in use.node.outputs if output not in seen]
                pending += new
                seen.update(new)
            else:
                yield use.node, use.idx


def _rows(node: ir.Node, index: int) -> int | None:
    """How many rows the table has that an input is looked up in; None where it is not."""
    if _INDEXED.get(node.op_type) != index:
        return None
    sizes = editing.static_shape(node.inputs[0]) or (1,)
    axis: int = editing.attribute(node, "axis", 0)
    whole = node.op_type in ("GatherND", "ScatterND")
    rows: tuple[int, ...] = sizes if whole else sizes[axis : axis + 1 or None]
    return min(rows, default=None)
