"""Sizes that a caller gives for a model's inputs: fixed in the graph, or only to run it with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.input_sizes import (
    InputSizes,
    given_by_label,
    sizes_of,
    symbolic_dimensions,
)

InputShapes = Mapping[str, Sequence[int | None]]
"""Shapes by input name, None for a size that stays open; the only input may be called ``""``."""

OPTION = "--input-shape"


def parsed_shapes(texts: Iterable[str]) -> dict[str, tuple[int | None, ...]]:
    """What ``--input-shape NAME:1,3,640,640`` says, by input name.

    Raises:
        UsageError: It is no shape, or an input has two.
    """
    shapes: dict[str, tuple[int | None, ...]] = {}
    for text in texts:
        name, _, dims = text.rpartition(":")
        sizes = [dim.strip() for dim in dims.split(",")]
        if not all(dim == "?" or (dim.isdecimal() and int(dim)) for dim in sizes):
            raise UsageError(
                f"'{text}' is not an input's shape",
                where=OPTION,
                hint="write NAME:1,3,640,640, and ? for a size that stays open",
                option=OPTION,
            )
        if name in shapes:
            raise UsageError(f"'{name}' is given twice", where=OPTION, option=OPTION)
        shapes[name] = tuple(None if dim == "?" else int(dim) for dim in sizes)
    return shapes


def parsed_dims(texts: Iterable[str]) -> dict[str, int]:
    """What ``--dim NAME=640`` says, by name.

    Raises:
        UsageError: It is no name and a number, or a name has two.
    """
    dims: dict[str, int] = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not name or not size.strip().isdecimal():
            raise UsageError(
                f"'{text}' is not a dimension's size",
                where="--dim",
                hint="write NAME=640",
                option="--dim",
            )
        if name in dims:
            raise UsageError(f"'{name}' is given twice", where="--dim", option="--dim")
        dims[name] = int(size)
    return dims


def checked_shapes(
    model: ir.Model, shapes: InputShapes | None, where: str
) -> dict[str, tuple[int | None, ...]]:
    """The shapes by their inputs' names.

    Raises:
        UsageError: An input that `model` does not have, or a shape that it can't take; `where` is
            what to call the model.
    """
    inputs = {value.name or "": value for value in model.graph.inputs if not value.is_initializer()}
    checked: dict[str, tuple[int | None, ...]] = {}
    for name, given in (shapes or {}).items():
        if not name and len(inputs) == 1:
            name = next(iter(inputs))
        if name not in inputs:
            raise UsageError(
                f"{where} has no input '{name}'" if name else f"{where} has {len(inputs)} inputs",
                where=OPTION,
                hint=f"NAME:1,3,640,640; its inputs: {', '.join(map(_shown, inputs.values()))}",
                option=OPTION,
            )
        _check_shape(inputs[name], given)
        checked[name] = tuple(given)
    return checked


def _check_shape(value: ir.Value, given: Sequence[int | None]) -> None:
    """Refuse what contradicts the file, but for the batch, which the pass may make another one."""
    rank = editing.rank(value)
    wrong = [
        axis
        for axis, size in enumerate(given)
        if axis and None not in (size, editing.dimension(value, axis)) and rank == len(given)
        if size != editing.dimension(value, axis)
    ]
    if rank != len(given) or wrong:
        what = f"axis {wrong[0]} is fixed" if wrong else f"it has {rank} dimensions"
        raise UsageError(
            f"{_text(given)} does not fit input {_shown(value)}: {what}",
            where=OPTION,
            hint="fix what is open in the file; for other sizes export it anew",
            option=OPTION,
        )


def _shown(value: ir.Value) -> str:
    dims = value.shape if value.shape is not None else ()
    return f"'{value.name}' [{', '.join(str(dim) for dim in dims)}]"


def _text(sizes: Sequence[int | None]) -> str:
    return ",".join("?" if size is None else str(size) for size in sizes)


def fixing(shapes: InputShapes, pipeline: Pipeline) -> Pipeline:
    """`pipeline` behind the pass that writes `shapes` into the graph; itself without any."""
    if not shapes:
        return pipeline
    texts = [f"{name}:{_text(sizes).replace(',', 'x')}" for name, sizes in shapes.items()]
    quoted = ",".join(f'"{text}"' for text in texts)
    first = Pipeline.parse(f"set-input-shape{{shapes={quoted}}}")
    return Pipeline((*first.passes, *pipeline.passes))


def run_sizes(
    model: ir.Model, shapes: InputShapes, dims: Mapping[str, int] | None, where: str
) -> InputSizes:
    """The sizes to run a model with: of `shapes`, whose inputs are checked, and of `dims`.

    Raises:
        UsageError: As of `given_by_label`, or one dimension gets two sizes.
    """
    dimensions = symbolic_dimensions(model)
    by_label = given_by_label(model, dims or {}, where)
    for dimension in dimensions:
        for name, axis in dimension.places:
            size = shapes[name][axis] if name in shapes else None
            if size is not None and by_label.setdefault(dimension.label, size) != size:
                raise UsageError(
                    f"'{dimension.label}' would be {by_label[dimension.label]} and {size}",
                    where=OPTION,
                    hint="inputs share a dimension of one name; give it one size",
                    option=OPTION,
                )
    return sizes_of(dimensions, by_label)


def with_sizes(model: ir.Model, sizes: InputSizes) -> ir.Model:
    """A copy of a model whose inputs take arrays of `sizes` only; it shares the weights."""
    copy = model.clone()
    for value in copy.graph.inputs:
        given = sizes.get(value.name or "", ())
        if value.shape is not None:
            own = (*given, *[None] * len(value.shape))
            value.shape = ir.Shape(
                [dim if own[axis] is None else own[axis] for axis, dim in enumerate(value.shape)]
            )
    return copy


def sizes_that_became_fixed(before: ir.Model, after: ir.Model, asked: InputShapes) -> Iterator[str]:
    """What a pipeline did to open sizes that nobody asked for, a line for each input.

    Args:
        before: The source.
        after: What the pipeline made of it.
        asked: Shapes that were to be fixed.
    """
    new = {value.name: value.shape for value in after.graph.inputs}
    for value in before.graph.inputs:
        shape = new.get(value.name)
        if shape is None or value.shape is None or len(shape) != len(value.shape):
            continue
        given = asked.get(value.name or "", (None,) * len(shape))
        news = [
            f"'{old}' is {size} now"
            for old, size, own in zip(value.shape, shape, given, strict=True)
            if not isinstance(old, int) and isinstance(size, int) and own is None
        ]
        if news:
            sizes = "x".join(str(dim) for dim in shape)
            yield (
                f"input '{value.name}' takes {sizes} only: its {', '.join(news)}; "
                f"{OPTION} fixes another size"
            )
