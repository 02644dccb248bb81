"""What an operator's function gets besides its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lprc.core.errors import UsageError


@dataclass(frozen=True)
class Call:
    """A node as its operator's function sees it.

    Attributes:
        where: The node's name and where it comes from, for errors.
        op_type: The operator.
        attributes: By name; tensors are torch tensors.
        version: The opset of the operator's domain.
        outputs: The number of outputs that are used, counted from the first.
        training: Whether statistics are taken from the batch.
    """

    where: str
    op_type: str
    attributes: Mapping[str, Any]
    version: int
    outputs: int = 1
    training: bool = False

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value; `default` where the node does not have it."""
        return self.attributes.get(name, default)

    def refused(self, what: str) -> UsageError:
        """The error for a form of the operator that is not known here."""
        return UsageError(
            f"{self.op_type} has no form in torch here: {what}",
            where=self.where,
            hint="cut the graph in front of it, and take that part",
        )


Inputs = Sequence["torch.Tensor | None"]
Function = Callable[[Call, Inputs], "torch.Tensor | tuple[torch.Tensor, ...]"]


def given(inputs: Inputs, index: int) -> torch.Tensor | None:
    """An optional input; None where it is left out."""
    return inputs[index] if index < len(inputs) else None


def needed(inputs: Inputs, index: int) -> torch.Tensor:
    """An input that the ONNX checker guarantees."""
    found = inputs[index]
    assert found is not None
    return found


def integers(tensor: torch.Tensor) -> list[int]:
    """The elements of a tensor of shapes, axes or indices."""
    return [int(each) for each in tensor.flatten().tolist()]


def integers_of(call: Call, inputs: Inputs, index: int, name: str) -> list[int] | None:
    """What newer opsets take from an input and older ones from an attribute."""
    value = given(inputs, index)
    if value is not None:
        return integers(value)
    found = call.attribute(name)
    return None if found is None else [int(each) for each in found]
