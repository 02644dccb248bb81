"""What a detector's numbers say of classes, and the operators that make scores of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.passes._images.operators import Operators

Activation = Literal["none", "sigmoid", "softmax"]
Background = Literal["none", "first", "last"]
Combine = Literal["product", "geometric-mean"]


@dataclass(frozen=True)
class ScoreForm:
    """How a place's numbers become the scores of its classes, 0 to 1.

    Attributes:
        channels: The classes, and the background where there is one.
        activation: What makes numbers scores; of objectness, too.
        background: Where the class for nothing stands.
        combine: What is made of a class's score and of the objectness, where there is one.
    """

    channels: int
    activation: Activation
    background: Background
    combine: Combine

    def build(self, tail: Operators, numbers: ir.Value, objectness: ir.Value | None) -> ir.Value:
        """Scores [N, places, classes].

        Args:
            tail: Writes the operators.
            numbers: float32 [N, places, channels].
            objectness: float32 [N, places, 1].
        """
        scores = self._activated(tail, numbers, "class_scores")
        if self.background != "none":
            first = int(self.background == "first")
            scores = section(tail, scores, "classes", first, first + self.channels - 1)
        if objectness is None:
            return scores
        present = self._activated(tail, objectness, "presence")
        scores = tail.add("Mul", [scores, present], "products", scores.shape)
        if self.combine == "product":
            return scores
        return tail.add("Sqrt", [scores], "geometric_means", scores.shape)

    def _activated(self, tail: Operators, numbers: ir.Value, name: str) -> ir.Value:
        if self.activation == "sigmoid":
            return tail.add("Sigmoid", [numbers], name, numbers.shape)
        if self.activation == "softmax":
            return tail.add("Softmax", [numbers], name, numbers.shape, attributes={"axis": 2})
        return numbers


def section(tail: Operators, table: ir.Value, name: str, start: int, end: int) -> ir.Value:
    """Columns of a table [N, places, columns], from `start` to in front of `end`."""
    assert table.shape is not None
    bounds = [
        tail.integers(f"{name}_{what}", [number])
        for what, number in (("start", start), ("end", end), ("axis", 2))
    ]
    return tail.add("Slice", [table, *bounds], name, [*table.shape[:2], end - start])
