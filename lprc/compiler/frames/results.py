"""What the networks of a pipeline say of a frame: a tree, as text and as JSON data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from lprc.compiler.frames.crops import Matrix, mapped_box, shifted
from lprc.compiler.frames.network import Answer, Network
from lprc.models.tasks.detection.boxes import Detections


@dataclass
class Reading:
    """What one network says of one image.

    Attributes:
        network: Which.
        image: What it read, RGB: a frame, or a piece of one.
        matrix: From its pixels to the frame's.
        answer: What it said; None until it has.
        shown: The least score of boxes that are shown.
        inner: What further networks say of its boxes: by the box's number and the network's name.
    """

    network: Network
    image: Image.Image
    matrix: Matrix = field(default_factory=lambda: shifted(0, 0))
    answer: Answer | None = None
    shown: float = 0.0
    inner: dict[int, dict[str, Reading]] = field(default_factory=dict)

    @property
    def value(self) -> Any:
        """The answer, as the task has answers."""
        assert self.answer is not None
        return self.answer.value

    @property
    def boxes(self) -> Detections | None:
        """What it found, in pixels of its image; None where it finds no boxes."""
        return self.value if isinstance(self.value, Detections) else None

    @property
    def text(self) -> str:
        """The answer in one line."""
        return self.network.task.text(self.value)

    @property
    def confidence(self) -> tuple[float, ...] | None:
        """The probability of each character; None where nothing tells."""
        return None if self.answer is None else self.answer.confidence

    def shown_boxes(self) -> Iterator[Found]:
        """The boxes that are shown, the best first; without those inside of others."""
        boxes = self.boxes
        if boxes is None:
            return
        classes: tuple[str, ...] = self.network.task.classes  # type: ignore[attr-defined]
        for index in np.flatnonzero(boxes.scores >= self.shown):
            yield Found(
                classes[boxes.classes[index]],
                float(boxes.scores[index]),
                tuple(float(side) for side in mapped_box(boxes.boxes[index], self.matrix)),
                self.inner.get(int(index), {}),
            )

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        if self.boxes is not None:
            return {"objects": [item.document() for item in self.shown_boxes()]}
        text = self.text
        document: dict[str, Any] = {"text": text}
        answer = self.network.task.document(self.value)
        if answer != text:
            document["answer"] = answer
        if self.confidence is not None:
            document["confidence"] = [round(value, 4) for value in self.confidence]
        return document


@dataclass(frozen=True)
class Found:
    """One box.

    Attributes:
        label: Its class.
        score: 0 to 1.
        box: Left, top, right, bottom in pixels of the frame.
        readings: What further networks say of it, by their names.
    """

    label: str
    score: float
    box: tuple[float, ...]
    readings: dict[str, Reading]

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        document: dict[str, Any] = {
            "label": self.label,
            "score": round(self.score, 4),
            "box": [round(side, 2) for side in self.box],
        }
        if self.readings:
            document["reads"] = {name: item.document() for name, item in self.readings.items()}
        return document

    def words(self) -> str:
        """What is said of it, in a few words: what was read, else the class."""
        texts = [
            reading.text if reading.boxes is None else found.words()
            for reading in self.readings.values()
            for found in (reading.shown_boxes() if reading.boxes is not None else (self,))
        ]
        return " ".join(text for text in texts if text) or self.label
