"""The best class, and probabilities: as operators, and in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.passes._images.operators import Operators


@dataclass(frozen=True)
class ArgMax:
    """The class with the best score; of several the first.

    Attributes:
        axis: Of the classes.
        dtype: Of the result, as numpy calls it.
    """

    axis: int
    dtype: str

    def build(self, tail: Operators, scores: ir.Value) -> ir.Value:
        """The classes of `scores`, without their axis."""
        assert scores.shape is not None
        shape = [dim for axis, dim in enumerate(scores.shape) if axis != self.axis]
        attributes = {"axis": self.axis, "keepdims": 0}
        best = tail.add(
            "ArgMax", [scores], "best", shape, dtype=ir.DataType.INT64, attributes=attributes
        )
        return tail.cast(best, ir.DataType.from_numpy(np.dtype(self.dtype)), "class")

    def apply(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The same in numpy."""
        return np.asarray(scores.argmax(axis=self.axis), self.dtype)


@dataclass(frozen=True)
class Softmax:
    """Probabilities of scores.

    Attributes:
        axis: Of the classes.
    """

    axis: int

    def build(self, tail: Operators, scores: ir.Value) -> ir.Value:
        """The probabilities of `scores`, of their shape."""
        return tail.add(
            "Softmax", [scores], "softmax", scores.shape, attributes={"axis": self.axis}
        )

    def apply(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The same in numpy."""
        raised = np.exp(scores.astype(np.float64) - scores.max(axis=self.axis, keepdims=True))
        return np.asarray(raised / raised.sum(axis=self.axis, keepdims=True), scores.dtype)
