"""Optimisation profiles: which sizes a symbolic dimension takes."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.targets.tensorrt_options import Shape, TensorRTOptions


def profiles(model: ir.Model, options: TensorRTOptions) -> dict[str, list[Shape]]:
    """Least, usual and greatest shape of each input that has symbolic dimensions.

    A symbolic batch, which is a first dimension, takes the sizes of the option ``batch``; other
    symbolic dimensions need the option ``profile``.

    Raises:
        UsageError: A dimension without sizes, or a profile that does not fit its input.
    """
    inputs = {value.name or "": value for value in model.graph.inputs if not value.is_initializer()}
    for name in options.shapes:
        if name not in inputs:
            raise UsageError(
                f"the model has no input '{name}'",
                where="profile",
                hint=f"its inputs: {', '.join(inputs)}",
            )
    return {
        name: options.shapes[name] if name in options.shapes else _by_batch(value, options)
        for name, value in inputs.items()
        if _fits(value, options) and not _is_static(value)
    }


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


def _by_batch(value: ir.Value, options: TensorRTOptions) -> list[Shape]:
    sizes = None if value.shape is None else list(value.shape)
    if not sizes or not all(isinstance(size, int) for size in sizes[1:]):
        shown = "of unknown rank" if sizes is None else f"{value.shape}"
        example = "x".join(str(size) if isinstance(size, int) else "8" for size in sizes or [1])
        raise UsageError(
            f"its shape {shown} has symbolic dimensions besides a batch, and no profile",
            where=f"input '{value.name}'",
            hint=f"-O profile={value.name}:{example}/{example}/{example}: least/usual/greatest",
        )
    rest = tuple(int(size) for size in sizes[1:] if isinstance(size, int))
    return [(batch, *rest) for batch in options.batch_sizes]
