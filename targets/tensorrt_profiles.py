"""Optimisation profiles: which sizes a symbolic dimension takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.running.numerics import Arrays
from lprc.targets.tensorrt_options import Shape, TensorRTOptions


def profiles(
    model: ir.Model, options: TensorRTOptions, samples: Sequence[Arrays] = ()
) -> dict[str, list[Shape]]:
    """Least, usual and greatest shape of each input that has symbolic dimensions.

    A symbol of several inputs has the sizes of the profile that names one of them. A symbolic
    batch, which is a first dimension, otherwise takes the sizes of the option ``batch``; other
    symbolic dimensions need the option ``profile``.

    Args:
        model: The lowered graph.
        options: Of the target.
        samples: Inputs that the graph runs on; their sizes are what a refusal suggests.

    Raises:
        UsageError: A dimension without sizes, a profile that does not fit its input, or two that
            give a symbol other sizes.
    """
    inputs = {value.name or "": value for value in model.graph.inputs if not value.is_initializer()}
    for name in options.shapes:
        if name not in inputs:
            raise UsageError(
                f"the model has no input '{name}'",
                where="profile",
                hint=f"its inputs: {', '.join(inputs)}",
            )
    dynamic = {
        name: value
        for name, value in inputs.items()
        if _fits(value, options) and not _is_static(value)
    }
    by_symbol = _sizes_of_symbols(dynamic, options.shapes)
    return {
        name: options.shapes[name]
        if name in options.shapes
        else _derived(value, by_symbol, options, samples)
        for name, value in dynamic.items()
    }


def _sizes_of_symbols(
    inputs: Mapping[str, ir.Value], shapes: Mapping[str, list[Shape]]
) -> dict[str, Shape]:
    """Least, usual and greatest size of the symbols that profiles speak of.

    Raises:
        UsageError: Two of them say something else of one.
    """
    sizes: dict[str, Shape] = {}
    for name, profile in shapes.items():
        dims = inputs[name].shape if name in inputs else None
        for axis, dim in enumerate(dims or ()):
            if isinstance(dim, int) or dim.value is None:
                continue
            own = tuple(shape[axis] for shape in profile)
            if sizes.setdefault(str(dim.value), own) != own:
                raise UsageError(
                    f"'{dim.value}' is {_range(own)}, and {_range(sizes[str(dim.value)])} in "
                    "another one",
                    where=f"profile of input '{name}'",
                    hint="inputs that share a symbol have one size",
                )
    return sizes


def _range(sizes: Shape) -> str:
    return "/".join(map(str, sizes))


def _is_static(value: ir.Value) -> bool:
    return value.shape is not None and value.shape.is_static()


def _fits(value: ir.Value, options: TensorRTOptions) -> bool:
    """Whether the input's own dimensions agree with its profile.

    Raises:
        UsageError: They don't.
    """
    for shape in options.shapes.get(value.name or "", ()):
        if value.shape is not None and not _agree(value.shape, shape):
            raise UsageError(
                f"{'x'.join(map(str, shape))} does not fit the shape {value.shape}",
                where=f"profile of input '{value.name}'",
            )
    return True


def _agree(known: ir.Shape, given: Shape) -> bool:
    return len(known) == len(given) and all(
        not isinstance(size, int) or size == chosen
        for size, chosen in zip(known, given, strict=True)
    )


def _derived(
    value: ir.Value,
    by_symbol: Mapping[str, Shape],
    options: TensorRTOptions,
    samples: Sequence[Arrays],
) -> list[Shape]:
    """The profile of an input that has none of its own.

    Raises:
        UsageError: A size that nothing says.
    """
    dims = None if value.shape is None else list(value.shape)
    columns = [_column(dim, axis, by_symbol, options) for axis, dim in enumerate(dims or [])]
    if dims is None or None in columns:
        shown = "of unknown rank" if dims is None else f"{value.shape}"
        example = _example(value.name or "", columns, samples)
        raise UsageError(
            f"its shape {shown} has symbolic dimensions besides a batch, and no profile",
            where=f"input '{value.name}'",
            hint=f"-O profile={value.name}:{example}: least/usual/greatest",
        )
    least, usual, greatest = zip(*(column for column in columns if column is not None), strict=True)
    return [least, usual, greatest]


def _column(
    dim: int | ir.SymbolicDim, axis: int, by_symbol: Mapping[str, Shape], options: TensorRTOptions
) -> Shape | None:
    """Least, usual and greatest size of a dimension; None where nothing says them."""
    if isinstance(dim, int):
        return dim, dim, dim
    if dim.value is not None and str(dim.value) in by_symbol:
        return by_symbol[str(dim.value)]
    return options.batch_sizes if axis == 0 else None


def _example(name: str, columns: Sequence[Shape | None], samples: Sequence[Arrays]) -> str:
    """A profile of the sizes that the samples have; of eights for what nothing says without any."""
    sizes: Sequence[Shape] = [column or (8, 8, 8) for column in columns or [None]]
    shapes = [sample[name].shape for sample in samples if name in sample]
    if shapes:
        sizes = [(min(axis), axis[0], max(axis)) for axis in zip(*shapes, strict=True)]
    return "/".join("x".join(map(str, shape)) for shape in zip(*sizes, strict=True))
