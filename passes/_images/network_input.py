"""The input of a network that a pass changes: which it is, who reads it, and Convs behind it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.passes._scaling import linear_layers


def chosen_input(model: ir.Model, name: str | None, where: str) -> ir.Value:
    """The graph's input of that name; the only one where none is given.

    Args:
        model: The graph.
        name: Of the input.
        where: The pass's option, for errors.

    Raises:
        UsageError: There is none of that name, or several and no name.
    """
    inputs = {str(value.name): value for value in model.graph.inputs if not value.is_initializer()}
    if name is None and len(inputs) == 1:
        return next(iter(inputs.values()))
    if name is not None and name in inputs:
        return inputs[name]
    names = ", ".join(f"'{input_name}'" for input_name in inputs) or "none"
    if name is None:
        raise UsageError(
            f"the graph has {len(inputs)} inputs",
            where=where,
            hint=f"say which takes the images, for instance input={next(iter(inputs), 'NAME')}; "
            f"there are {names}",
        )
    close = difflib.get_close_matches(name, inputs, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    raise UsageError(
        f"the graph has no input '{name}'", where=where, hint=f"{guess}inputs: {names}"
    )


@dataclass(frozen=True)
class Readers:
    """Everything that reads a value, remembered before new nodes do.

    Attributes:
        value: It.
        uses: The nodes, with the number of the input.
    """

    value: ir.Value
    uses: tuple[tuple[ir.Node, int], ...]

    @classmethod
    def of(cls, value: ir.Value) -> Readers:
        """Those of `value` now."""
        return cls(value, tuple((use.node, use.idx) for use in value.uses()))

    def read(self, other: ir.Value) -> None:
        """Let all of them read `other` instead."""
        for node, index in self.uses:
            node.replace_input_with(index, other)

    def convs(self) -> list[linear_layers.Linear] | str:
        """The Convs that alone read the elements, their weights constant; or why there are none."""
        layers = []
        for node, index in self.uses:
            if editing.is_op(node, "Shape", "Size"):
                continue
            if not editing.is_op(node, "Conv") or index != 0:
                return "not only Convs read the input"
            layer = linear_layers.of_node(node)
            if isinstance(layer, str):
                return layer
            layers.append(layer)
        return layers or "only its shape is read"


def reversed_inputs(layer: linear_layers.Linear) -> linear_layers.Linear | str:
    """A Conv that takes its input channels in the opposite order, or why it can't."""
    if layer.groups != 1:
        return "the Conv behind the input has groups"
    return replace(layer, weight=layer.weight[:, ::-1])


def scaled_inputs(
    layer: linear_layers.Linear,
    factor: NDArray[np.float64],
    offset: NDArray[np.float64],
    largest: float,
) -> linear_layers.Linear | str:
    """A Conv that does for x what it did for ``factor * x + offset``, or why there is none.

    Args:
        layer: The Conv.
        factor: float64 [1] or [input channels].
        offset: Likewise.
        largest: The largest magnitude of x.
    """
    if offset.any() and linear_layers.pads(layer.node):
        return "the Conv behind the input pads"
    channels = (layer.weight.shape[1] * layer.groups,)
    affine = linear_layers.Affine(
        np.broadcast_to(factor, channels), np.broadcast_to(offset, channels)
    )
    return linear_layers.inputs_scaled(layer, affine, largest)
