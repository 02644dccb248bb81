"""The kind of tasks ``detection``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lprc.core.errors import DataError
from lprc.core.files.image_listing import list_images
from lprc.core.running.numerics import RunError
from lprc.core.tasks.confidence import RESAMPLES
from lprc.core.tasks.graph_answer import GraphAnswer
from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task import Sample, Task
from lprc.models.tasks.detection.boxes import Detections
from lprc.models.tasks.detection.drawing import FOUND, TRUE, draw_boxes
from lprc.models.tasks.detection.guess import guessed_heads
from lprc.models.tasks.detection.heads import NAME_IN_GRAPH, as_put_out, detections, raw_outputs
from lprc.models.tasks.detection.in_graph import answer_passes
from lprc.models.tasks.detection.matching import check_pycocotools, matches
from lprc.models.tasks.detection.precision import (
    OVERLAPS,
    ImageMatches,
    class_precision,
    mean_precision,
)
from lprc.models.tasks.detection.samples import read_samples
from lprc.models.tasks.detection.table import DetectionTable
from lprc.models.tasks.detection.truth import Truth
from lprc.models.tasks.guesses import guessed_input

_NAMED = 5
"""Boxes that a line names."""

_SORTED_BOXES, _FEWEST_RESAMPLES = 50_000_000, 100

_PUBLISHED_AT = 5
"""The place of 0.75 in `OVERLAPS`."""


class Detection(Task):
    """Tells what is where in an image.

    What outputs mean says ``[output] head``; see `lprc.models.tasks.detection.table.BoxOutputs`.
    The score is the mean over the classes of the average precision at half overlap.
    """

    kind: ClassVar[str] = "detection"
    table = DetectionTable
    metric: ClassVar[str] = "mAP@50"
    is_placed: ClassVar[bool] = True
    settings: DetectionTable

    @property
    def classes(self) -> tuple[str, ...]:
        """The names by class."""
        return self.settings.output.classes

    def labelled(self, data: Path) -> list[Sample]:
        """Images with boxes: a COCO file, a folder with one, or images/ and labels/ as of YOLO.

        Raises:
            MissingDependencyError: pycocotools, which scores them, is not installed.
        """
        check_pycocotools()
        return read_samples(data, self.settings.data, self.classes)

    def unlabelled(self, folder: Path) -> list[Path]:
        """Images in the folder (or beside the file), or in its folder of images."""
        place = folder.parent if folder.is_file() else folder
        inner = place / self.settings.data.images
        return list_images(inner if inner.is_dir() else place)

    def answers(
        self, outputs: Mapping[str, NDArray[Any]], places: Sequence[Placement | None]
    ) -> list[Detections]:
        """What is found in each image, in its pixels."""
        raw = raw_outputs(outputs, self.settings.output, self.input.size, f"task '{self.name}'")
        found = detections(raw, len(places))
        return [
            item if place is None else item.in_image(place)
            for item, place in zip(found, places, strict=True)
        ]

    def answer_in_graph(self, interface: Interface) -> GraphAnswer:
        """Suppression in the graph, behind decoding where boxes or scores come raw."""
        batch = interface.fixed_batch or 1
        outputs = interface.outputs_for((batch, *self.input.shape))
        raw = raw_outputs(outputs, self.settings.output, self.input.size, f"task '{self.name}'")
        return answer_passes(raw)

    def deployed(self, interface: Interface) -> Detection:
        """With rows as the head where suppression is in the graph."""
        if list(interface.outputs) != [NAME_IN_GRAPH]:
            return self
        outputs = interface.outputs_for((interface.fixed_batch or 1, *self.input.shape))
        output = as_put_out(outputs, self.settings.output)
        return type(self)(self.name, self.settings.model_copy(update={"output": output}))

    def judge(self, answer: Detections, truth: Truth) -> ImageMatches:
        """Which boxes are right at each overlap, by pycocotools."""
        return matches(answer, truth, len(self.classes), self.settings.output.max_detections)

    def combine(self, records: Sequence[ImageMatches]) -> float:
        """The mAP at half overlap; without any truth 1, or 0 if a box is shown."""
        value = mean_precision(records)
        if np.isfinite(value):
            return value
        shown = self.settings.output.shown_threshold
        return float(not any((record.scores >= shown).any() for record in records))

    def resamples(self, records: Sequence[ImageMatches]) -> int:
        """Fewer the more boxes there are to sort, so that an interval takes less than a minute."""
        boxes = sum(len(record.scores) for record in records)
        return max(_FEWEST_RESAMPLES, min(RESAMPLES, _SORTED_BOXES // max(boxes, 1)))

    def details(self, records: Sequence[ImageMatches]) -> dict[str, Any]:
        """COCO's mAP, that at three quarters overlap, recall, and each class's at half overlap.

        A class that does not occur is null.
        """
        means = [mean_precision(records, index) for index in range(len(OVERLAPS))]
        half = class_precision(records)
        recalls = half.recall[np.isfinite(half.recall)]
        if not recalls.size:
            return {}
        return {
            "mAP@50:95": float(np.mean(means)),
            "mAP@75": means[_PUBLISHED_AT],
            "recall@50": float(np.mean(recalls)),
            "AP@50": {
                name: None if np.isnan(value) else float(value)
                for name, value in zip(self.classes, half.precision, strict=True)
            },
        }

    def text(self, answer: Any) -> str:
        """For instance ``2 boxes: plate 0.98, plate 0.71``."""
        words = [word for _, word in self._shown(answer)]
        if not words:
            return "no box"
        more = " …" if len(words) > _NAMED else ""
        return f"{len(words)} box{'es' * (len(words) > 1)}: {', '.join(words[:_NAMED])}{more}"

    def document(self, answer: Any) -> list[dict[str, Any]]:
        """Each box: its class, its score where it was found, and its sides in pixels."""
        shown = answer
        if isinstance(answer, Detections):
            shown = answer.at_least(self.settings.output.shown_threshold)
        boxes = [
            {"class": self.classes[label], "box": [round(float(side), 2) for side in box]}
            for box, label in zip(shown.boxes, shown.classes, strict=True)
        ]
        if isinstance(shown, Detections):
            for box, score in zip(boxes, shown.scores, strict=True):
                box["score"] = round(float(score), 4)
        return boxes

    def _shown(self, answer: Any) -> list[tuple[list[float], str]]:
        return [
            (box["box"], f"{box['class']} {box['score']:.2f}" if "score" in box else box["class"])
            for box in self.document(answer)
        ]

    def picture(self, path: Path, answer: Any) -> Image.Image:
        """The image with boxes, red where they were found and green where they are true."""
        colour = FOUND if isinstance(answer, Detections) else TRUE
        return draw_boxes(read_image(path), self._shown(answer), colour)

    @classmethod
    def like(cls, interface: Interface) -> dict[str, Any]:
        """The head by the outputs' shapes, numbered classes, values from 0 to 1, a letterbox."""
        from lprc.core.tasks.task_file import builtin_tasks

        for task in builtin_tasks():
            if isinstance(task, Detection) and task.recognizes(interface):
                return task.settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        image = guessed_input(interface, (0.0,), (1 / 255,))
        shapes = {name: array.shape for name, array in interface.output_arrays.items()}
        guesses = guessed_heads(shapes, (image["width"], image["height"]))
        if not guesses:
            listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise DataError(
                f"no head that lprc knows has the outputs {listed}",
                where=interface.where,
                hint='write a file with task = "detection" and [output] head, scores and boxes',
            )
        guess = guesses[0]
        classes = [f"class {index}" for index in range(guess.classes)]
        return {
            "input": {**image, "resize": "letterbox"},
            "output": {"classes": classes, "head": guess.head},
        }

    def recognizes(self, interface: Interface) -> bool:
        """Whether the outputs have the names that the file gives, and are as many as its head's."""
        output = self.settings.output
        named = (*output.scores, *output.boxes, *output.objectness, *output.labels, *output.count)
        named += output.landmarks
        if not named or Counter(interface.outputs) != Counter(named):
            return False
        try:
            task = self.fitted(interface)
            batch = interface.fixed_batch or 1
            outputs = interface.outputs_for((batch, *task.input.shape))
            task.answers(outputs, [None] * batch)
        except (DataError, RunError):
            return False
        return True
