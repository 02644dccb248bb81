"""Boxes without overlaps, in a fixed number of rows: as operators, and in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.passes._images.operators import Operators
from lprc.passes._images.sides import corners_of_centres

Corners = Literal["xyxy", "cxcywh"]

_NONE = -1.0
"""What rows hold that have no box."""


@dataclass(frozen=True)
class Detections:
    """For each class the boxes with the best scores that overlap no better one by too much.

    Attributes:
        form: Of the boxes: two corners, or centre, width and height.
        classes_last: Whether scores are [N, boxes, classes] instead of [N, classes, boxes]; those
            of one class may be [N, boxes].
        rows: Of the result for each image.
        overlap: Intersection over union above which the worse of two boxes of a class goes.
        score: Boxes with no better one go.
    """

    form: Corners
    classes_last: bool
    rows: int
    overlap: float
    score: float

    def build(self, tail: Operators, boxes: ir.Value, scores: ir.Value) -> ir.Value:
        """Detections of `boxes` [N, boxes, 4]: float32 [N, rows, 6], best first.

        A row is x1, y1, x2, y2, score and class, or -1 six times.
        """
        assert boxes.shape is not None
        batch, count = boxes.shape[0], boxes.shape[1]
        assert isinstance(count, int)
        boxes = self._corners(tail, boxes)
        scores = self._by_class(tail, scores)
        assert scores.shape is not None
        classes = scores.shape[1]
        assert isinstance(classes, int)
        left = self._without_overlaps(tail, boxes, scores, min(self.rows, count))
        flat = tail.add(
            "Reshape", [left, tail.integers("all_of_image", [0, -1])], "flat",
            [batch, classes * count],
        )  # fmt: skip
        rows = min(self.rows, classes * count)
        best, index = _top(tail, flat, [batch, rows])
        number = tail.constant("boxes_of_class", np.array(count, np.int64))
        kind = tail.add("Div", [index, number], "class", [batch, rows])
        first = tail.add("Mul", [kind, number], "first_of_class", [batch, rows])
        place = tail.add("Sub", [index, first], "box", [batch, rows])
        last = tail.integers("last", [2])
        place = tail.add("Unsqueeze", [place, last], "box_index", [batch, rows, 1])
        chosen = tail.add(
            "GatherND", [boxes, place], "chosen", [batch, rows, 4], attributes={"batch_dims": 1}
        )
        best = tail.add("Unsqueeze", [best, last], "best_score", [batch, rows, 1])
        kind = tail.cast(kind, ir.DataType.FLOAT, "class_number")
        kind = tail.add("Unsqueeze", [kind, last], "best_class", [batch, rows, 1])
        row = tail.add(
            "Concat", [chosen, best, kind], "rows", [batch, rows, 6], attributes={"axis": 2}
        )
        none = tail.constant("none", np.array(_NONE, np.float32))
        zero = tail.constant("zero", np.array(0.0, np.float32))
        empty = tail.add("Less", [best, zero], "is_empty", [batch, rows, 1], dtype=ir.DataType.BOOL)
        return tail.add(
            "Where", [empty, none, row], "detections", [batch, rows, 6], dtype=ir.DataType.FLOAT
        )

    def _corners(self, tail: Operators, boxes: ir.Value) -> ir.Value:
        if self.form == "xyxy":
            return boxes
        return corners_of_centres(tail, boxes)

    def _by_class(self, tail: Operators, scores: ir.Value) -> ir.Value:
        assert scores.shape is not None
        if len(scores.shape) == 2:
            batch, count = scores.shape
            axis = tail.integers("class_axis", [1])
            return tail.add("Unsqueeze", [scores, axis], "of_one_class", [batch, 1, count])
        if not self.classes_last:
            return scores
        turned = [scores.shape[axis] for axis in (0, 2, 1)]
        return tail.add("Transpose", [scores], "by_class", turned, attributes={"perm": [0, 2, 1]})

    def _without_overlaps(
        self, tail: Operators, boxes: ir.Value, scores: ir.Value, most: int
    ) -> ir.Value:
        """The scores of the boxes that stay, and -1 for the others."""
        limits = [
            tail.integers("most", [most]),
            tail.constant("overlap", np.array([self.overlap], np.float32)),
            tail.constant("least_score", np.array([self.score], np.float32)),
        ]
        stay = tail.add(
            "NonMaxSuppression", [boxes, scores, *limits], "stay", [None, 3],
            dtype=ir.DataType.INT64,
        )  # fmt: skip
        their_scores = tail.add("GatherND", [scores, stay], "their_scores", [None])
        none = tail.constant("no_score", np.array(_NONE, np.float32))
        nothing = tail.add("Min", [scores, none], "nothing", scores.shape)
        return tail.add("ScatterND", [nothing, stay, their_scores], "left", scores.shape)

    def apply(self, boxes: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float32]:
        """The same, image by image and class by class."""
        boxes = boxes.astype(np.float32)
        if self.form == "cxcywh":
            reach = boxes[..., 2:] * np.float32(0.5)
            boxes = np.concatenate([boxes[..., :2] - reach, boxes[..., :2] + reach], axis=2)
        if scores.ndim == 2:
            scores = scores[:, None]
        elif self.classes_last:
            scores = scores.transpose(0, 2, 1)
        rows = min(self.rows, scores.shape[1] * scores.shape[2])
        result = np.full((len(boxes), rows, 6), _NONE, np.float32)
        for image, of_class in enumerate(scores):
            boxes_left = [
                (-float(of_class[kind, box]), kind, box)
                for kind in range(len(of_class))
                for box in self._stay(boxes[image], of_class[kind])
            ]
            for row, (negative, kind, box) in enumerate(sorted(boxes_left)[:rows]):
                result[image, row] = [*boxes[image, box], -negative, kind]
        return result

    def _stay(self, boxes: NDArray[np.float32], scores: NDArray[Any]) -> list[int]:
        # Either pair of opposite corners is a box, as ONNX has it.
        low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
        boxes = np.concatenate([low, high], axis=1)
        stay: list[int] = []
        for box in np.argsort(-scores, kind="stable"):
            if scores[box] <= np.float32(self.score) or len(stay) == self.rows:
                break
            if all(_overlap(boxes[box], boxes[other]) <= self.overlap for other in stay):
                stay.append(int(box))
        return stay


def _top(tail: Operators, flat: ir.Value, shape: list[Any]) -> tuple[ir.Value, ir.Value]:
    """The largest of each image, and where they stand."""
    values = tail.add("TopK", [flat, tail.integers("number", [shape[1]])], "top", shape)
    node = values.producer()
    assert node is not None
    node.resize_outputs(2)
    index = node.outputs[1]
    index.name, index.shape = f"{values.name}_index", ir.Shape(shape)
    index.type = ir.TensorType(ir.DataType.INT64)
    return values, index


def _overlap(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Intersection over union of boxes whose smaller corner stands first."""
    low, high = np.maximum(left[:2], right[:2]), np.minimum(left[2:], right[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(left[2:] - left[:2]) + np.prod(right[2:] - right[:2]))
    return both / (areas - both) if areas > both else 0.0
