"""The output of a network that becomes an answer: which it is, and the sizes that it must have."""

from __future__ import annotations

import difflib

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing


def refused(message: str, option: str, hint: str | None = None) -> UsageError:
    """The error for an option that does not fit the model."""
    return UsageError(message, where=f"embed-postprocessing{{{option}}}", hint=hint, option=option)


def chosen_output(model: ir.Model, name: str | None, option: str) -> ir.Value:
    """The graph's float output of that name; the only one where none is given.

    Args:
        model: The graph.
        name: Of the output.
        option: That names it, for errors.

    Raises:
        UsageError: There is none, several and no name, or it is no float that a node puts out.
    """
    outputs = {str(value.name): value for value in model.graph.outputs}
    names = ", ".join(f"'{output_name}'" for output_name in outputs)
    if name is None and len(outputs) != 1:
        raise refused(f"the graph has {len(outputs)} outputs", option, f"name one: {names}")
    value = next(iter(outputs.values())) if name is None else outputs.get(name)
    if value is None:
        close = difflib.get_close_matches(str(name), outputs, n=1)
        guess = f"did you mean '{close[0]}'? " if close else ""
        raise refused(f"the graph has no output '{name}'", option, f"{guess}outputs: {names}")
    if value.dtype != ir.DataType.FLOAT or value.producer() is None:
        kind = "of unknown type" if value.dtype is None else value.dtype.name
        raise refused(f"output '{value.name}' is {kind}, not float32 that a node puts out", option)
    return value


def known_axis(value: ir.Value, axis: int, option: str) -> int:
    """The size of an axis of an output.

    Raises:
        UsageError: There is no such axis, or its size is open.
    """
    rank = editing.rank(value)
    if rank is None or not 0 <= axis < rank:
        told = "an unknown number of" if rank is None else rank
        raise refused(f"output '{value.name}' has {told} dimensions, and no axis {axis}", option)
    size = editing.dimension(value, axis)
    if size is None:
        raise refused(
            f"the size of axis {axis} of output '{value.name}' is open",
            option,
            "fix the inputs' sizes with --input-shape, and put infer-shapes in front",
        )
    return size
