"""The outputs of a network that become an answer: which they are, and the sizes they must have."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing


@dataclass(frozen=True)
class NetworkOutputs:
    """Looks outputs up for one pass, and names it where they do not fit its options.

    Attributes:
        pass_name: As in pipeline text.
    """

    pass_name: str

    def refused(self, message: str, option: str, hint: str | None = None) -> UsageError:
        """The error for an option that does not fit the model."""
        where = f"{self.pass_name}{{{option}}}"
        return UsageError(message, where=where, hint=hint, option=option)

    def chosen(self, model: ir.Model, name: str | None, option: str) -> ir.Value:
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
            raise self.refused(
                f"the graph has {len(outputs)} outputs", option, f"name one: {names}"
            )
        value = next(iter(outputs.values())) if name is None else outputs.get(name)
        if value is None:
            close = difflib.get_close_matches(str(name), outputs, n=1)
            guess = f"did you mean '{close[0]}'? " if close else ""
            raise self.refused(
                f"the graph has no output '{name}'", option, f"{guess}outputs: {names}"
            )
        if value.dtype != ir.DataType.FLOAT or value.producer() is None:
            kind = "of unknown type" if value.dtype is None else value.dtype.name
            raise self.refused(
                f"output '{value.name}' is {kind}, not float32 that a node puts out", option
            )
        return value

    def known_axis(self, value: ir.Value, axis: int, option: str) -> int:
        """The size of an axis of an output.

        Raises:
            UsageError: There is no such axis, or its size is open.
        """
        rank = editing.rank(value)
        if rank is None or not 0 <= axis < rank:
            told = "an unknown number of" if rank is None else rank
            raise self.refused(
                f"output '{value.name}' has {told} dimensions, and no axis {axis}", option
            )
        size = editing.dimension(value, axis)
        if size is None:
            raise self.refused(
                f"the size of axis {axis} of output '{value.name}' is open",
                option,
                "fix the inputs' sizes with --input-shape, and put infer-shapes in front",
            )
        return size

    def check_operator_set(self, model: ir.Model, option: str) -> None:
        """Refuse graphs whose operators are not those that are written.

        Raises:
            UsageError: The operator set is older than 13.
        """
        if editing.opset_version(model) < 13:
            raise self.refused(
                f"operator set {editing.opset_version(model)} is older than 13",
                option,
                "put convert-opset in front of it",
            )
