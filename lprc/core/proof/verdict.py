"""What a proof came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

State = Literal["proved", "not proved", "refuted"]

MOST_LISTED = 8
"""Of the elements of a counterexample, in a document."""


@dataclass(frozen=True)
class Counterexample:
    """Inputs of a window on which its two sides differ in ONNX Runtime.

    Attributes:
        inputs: The window's inputs, by the names that they have in front of the rewrite.
        difference: How far the results are apart there, in words.
    """

    inputs: Mapping[str, NDArray[Any]]
    difference: str

    def document(self) -> dict[str, Any]:
        """As JSON data: shapes, and the first elements that are not 0."""
        return {
            "inputs": {name: _array_document(array) for name, array in self.inputs.items()},
            "difference": self.difference,
        }


def _array_document(array: NDArray[Any]) -> dict[str, Any]:
    places = np.argwhere(array != 0)[:MOST_LISTED]
    return {
        "shape": list(array.shape),
        "elements": [[place.tolist(), float(array[tuple(place)])] for place in places],
    }


@dataclass(frozen=True)
class Verdict:
    """Whether a rewrite computes the same over the reals.

    Attributes:
        state: What came of it.
        reason: Why it is not proved, or what differs; empty where it is.
        nodes: The nodes in its windows, on both sides.
        elements: The elements whose equality was asked for.
        questions: How often Z3 was asked.
        rounded: Whether constants agree to within their rounding only.
        counterexample: Where it is refuted.
    """

    state: State
    reason: str = ""
    nodes: int = 0
    elements: int = 0
    questions: int = 0
    rounded: bool = False
    counterexample: Counterexample | None = field(default=None, compare=False)

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        example = self.counterexample
        return {
            **{key: value for key, value in vars(self).items() if key != "counterexample"},
            "counterexample": None if example is None else example.document(),
        }

    def __str__(self) -> str:
        """For instance ``proved up to the constants' rounding``."""
        if self.state == "proved":
            return "proved up to the rounding of constants" if self.rounded else "proved"
        return f"{self.state}: {self.reason}"
