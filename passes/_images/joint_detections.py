"""Boxes and scores of one output, taken apart before suppression: as operators, and in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.passes._images.detections import Detections
from lprc.passes._images.operators import Operators

BOX = 4
"""Numbers of a box."""


@dataclass(frozen=True)
class JointDetections:
    """As `Detections`, of one output with a box and the scores of its classes a place.

    YOLOv8 has [N, 4 + classes, places]; YOLOv5 [N, places, 5 + classes], where the number behind
    the box says whether there is anything, and multiplies the scores.

    Attributes:
        suppression: What is done with boxes and scores; `classes_last` is where they are here, too.
        objectness: Whether there is such a number.
    """

    suppression: Detections
    objectness: bool

    @property
    def _axis(self) -> int:
        return 2 if self.suppression.classes_last else 1

    def build(self, tail: Operators, joint: ir.Value) -> ir.Value:
        """As `Detections.build`, of `joint` [N, numbers, places] or [N, places, numbers]."""
        assert joint.shape is not None
        numbers = joint.shape[self._axis]
        assert isinstance(numbers, int)
        boxes = self._slice(tail, joint, "boxes", 0, BOX)
        if self._axis == 1:
            turned = [joint.shape[0], joint.shape[2], BOX]
            boxes = tail.add(
                "Transpose", [boxes], "boxes_last", turned, attributes={"perm": [0, 2, 1]}
            )
        first = BOX + self.objectness
        scores = self._slice(tail, joint, "scores", first, numbers)
        if self.objectness:
            present = self._slice(tail, joint, "objectness", BOX, first)
            scores = tail.add("Mul", [scores, present], "products", scores.shape)
        return self.suppression.build(tail, boxes, scores)

    def _slice(self, tail: Operators, joint: ir.Value, name: str, start: int, end: int) -> ir.Value:
        shape: list[Any] = list(joint.shape or ())
        shape[self._axis] = end - start
        bounds = [
            tail.integers(f"{name}_{what}", [number])
            for what, number in (("start", start), ("end", end), ("axis", self._axis))
        ]
        return tail.add("Slice", [joint, *bounds], name, shape)

    def apply(self, joint: NDArray[Any]) -> NDArray[np.float32]:
        """The same in numpy."""
        last = np.moveaxis(joint, self._axis, 2)
        scores = last[..., BOX + self.objectness :]
        if self.objectness:
            scores = scores * last[..., BOX : BOX + 1]
        if self._axis == 1:
            scores = scores.transpose(0, 2, 1)
        return self.suppression.apply(last[..., :BOX], scores)
