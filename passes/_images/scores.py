"""The best class, and probabilities: as operators, and in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.passes._images.operators import Operators
from lprc.passes._images.resizing import (
    Interpolation,
    Size,
    resize_attributes,
    weights,
    written_scale,
)


@dataclass(frozen=True)
class Enlarged:
    """Scores [N, classes, height, width] at another size, and then an answer of them.

    Attributes:
        answer: What is made of the resized scores.
        size: The height and width of the answer.
        interpolation: Between scores.
    """

    answer: ArgMax | Softmax
    size: Size
    interpolation: Interpolation

    def build(self, tail: Operators, scores: ir.Value) -> ir.Value:
        """The answer at that size."""
        assert scores.shape is not None
        height, width = (editing.dimension(scores, axis) for axis in (2, 3))
        assert height is not None
        assert width is not None
        pairs = (height, self.size[0]), (width, self.size[1])
        scales = np.array([1, 1, *(written_scale(*pair) for pair in pairs)], np.float32)
        resized = tail.add(
            "Resize",
            [scores, None, tail.constant("scales", scales)],
            "resize",
            [*list(scores.shape)[:2], *self.size],
            attributes=resize_attributes(self.interpolation),
        )
        return self.answer.build(tail, resized)

    def apply(self, scores: NDArray[Any]) -> NDArray[Any]:
        """The same in numpy."""
        rows, columns = (
            weights(has, wants, self.interpolation, written_scale(has, wants))
            for has, wants in zip(scores.shape[2:], self.size, strict=True)
        )
        resized = np.einsum("yh,nchw,xw->ncyx", rows, scores.astype(np.float64), columns)
        return self.answer.apply(resized.astype(scores.dtype))


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
