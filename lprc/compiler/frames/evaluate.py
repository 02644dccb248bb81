"""How well a pipeline finds and reads: against boxes with texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lprc.compiler.frames.crops import crops
from lprc.compiler.frames.execute import answered
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.opened import Networks
from lprc.compiler.frames.pipeline_file import EdgeTable
from lprc.compiler.frames.sources import picture_frames
from lprc.core.errors import DataError
from lprc.core.tasks.score import Score
from lprc.core.tasks.task import Sample
from lprc.models.tasks.detection.boxes import Detections, box_overlaps
from lprc.models.tasks.detection.task import Detection
from lprc.models.tasks.detection.truth import Truth
from lprc.models.tasks.plates import Plates

OVERLAP = 0.5
"""Intersection over union from which a box is taken for a true one."""

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class ReaderScore:
    """How well one network reads.

    Attributes:
        name: The network.
        true_boxes: What it reads in the true boxes.
        end_to_end: Of the same texts, those that are read in a box that was found there.
        readings: Texts that it read in boxes that were detections, where there is no thing or one
            whose text is annotated.
        right_readings: Those that stand there.
    """

    name: str
    true_boxes: Score
    end_to_end: Score
    readings: int
    right_readings: int

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "true_boxes": self.true_boxes.document(),
            "end_to_end": self.end_to_end.document(),
            "readings": self.readings,
            "right_readings": self.right_readings,
        }


@dataclass(frozen=True)
class PipelineScore:
    """What a pipeline's answers are worth.

    Attributes:
        detection: Of the first network.
        readers: Of those that read plates in its boxes.
    """

    detection: Score
    readers: tuple[ReaderScore, ...]

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        task = self.detection.task
        return {
            "detection": {**self.detection.document(), **task.details(self.detection.records)},
            "readers": {reader.name: reader.document() for reader in self.readers},
        }


def evaluate_pipeline(
    networks: Networks, data: Path, progress: Report | None = None
) -> PipelineScore:
    """Find and read in every image of `data`, and compare with its annotations.

    Args:
        networks: With weak boxes. The first finds boxes; those that read plates in them are judged
            by the texts.
        data: As the first one's task has it; COCO's annotations with ``text``.
        progress: Called with the images done and their number.

    Raises:
        DataError: The first network finds no boxes, or images or annotations can't be used.
        RunError: A network fails.
    """
    detector = networks.first.task
    if not isinstance(detector, Detection):
        raise DataError(
            f"task '{detector.name}' of '{networks.first.name}' finds no boxes",
            hint="lprc eval MODEL --task … scores one network",
        )
    samples = detector.labelled(data)
    readers = [
        _Reader(networks, edge)
        for edge in networks.edges
        if edge.source == networks.first.name
        and isinstance(networks.networks[edge.to].task, Plates)
    ]
    for reader in readers:
        reader.check(samples)
    records = []
    frames = answered(picture_frames(sample.path for sample in samples), networks)
    for number, (frame, sample) in enumerate(zip(frames, samples, strict=True), 1):
        detections: Detections = frame.reading.value
        records.append(detector.judge(detections, sample.truth))
        for reader in readers:
            reader.add(frame, sample.truth)
        if progress is not None:
            progress(number, len(samples))
    scores = tuple(reader.score() for reader in readers if reader.total)
    return PipelineScore(Score(detector, tuple(records)), scores)


class _Reader:
    """What is remembered of a network that reads."""

    def __init__(self, networks: Networks, edge: EdgeTable) -> None:
        self._network = networks.networks[edge.to]
        self._classes: tuple[str, ...] = networks.first.task.classes  # type: ignore[attr-defined]
        # Annotations have no landmarks, and all that is annotated is to be read.
        changes: dict[str, Any] = {"min_score": 0.0, "min_size": (1, 1), "top_k": 10_000}
        if edge.rectify == "landmarks":
            changes["rectify"] = "none"
        self._edge = edge.model_copy(update={**changes, "classes": ()})
        self._on_true: list[NDArray[np.float64]] = []
        self._end_to_end: list[NDArray[np.float64]] = []
        self._readings = self._right = 0

    @property
    def total(self) -> int:
        """The texts that it was to read."""
        return len(self._on_true)

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuse texts that can't be read.

        Raises:
            DataError: A character that the alphabet does not have.
        """
        task = self._network.task
        assert isinstance(task, Plates)
        for sample in samples:
            for text in filter(None, sample.truth.texts):
                foreign = set(text) - set(task.alphabet)
                if foreign:
                    raise DataError(
                        f"the text '{text}' has '{min(foreign)}', which is not in the alphabet "
                        f"'{task.name}'",
                        where=str(sample.path),
                        hint="leave the text out where it can't be read: null",
                    )

    def add(self, frame: Frame, truth: Truth) -> None:
        """Judge what was read in a frame, and read its true boxes."""
        task = self._network.task
        detections: Detections = frame.reading.value
        read = {
            index: str(reading[self._network.name].value)
            for index, reading in frame.reading.inner.items()
            if self._network.name in reading
        }
        partners = _partners(detections, truth, sorted(read))
        for index, reading_text in read.items():
            partner = partners.get(index)
            if partner is not None and _text(truth, partner) is None:
                continue  # nobody knows
            self._readings += 1
            self._right += partner is not None and _text(truth, partner) == reading_text
        by_truth = {partner: read[index] for index, partner in partners.items()}
        with_text = [index for index in range(len(truth.boxes)) if _text(truth, index) is not None]
        on_true = self._read(frame.picture, truth, with_text)
        for index in with_text:
            text = _text(truth, index)
            self._on_true.append(task.judge(on_true.get(index, ""), text))
            self._end_to_end.append(task.judge(by_truth.get(index), text))

    def _read(self, image: Image.Image, truth: Truth, indices: Sequence[int]) -> dict[int, str]:
        """What is read in some of the true boxes, by number."""
        if not indices:
            return {}
        count = len(indices)
        boxes = truth.boxes[list(indices)].astype(np.float32)
        exact = Detections(boxes, np.ones(count, np.float32), np.zeros(count, np.int64))
        pieces = list(crops(image, exact, self._edge, self._classes))
        answers = self._network.infer(self._network.prepare([piece.image for piece in pieces]))
        return {
            indices[piece.index]: str(answer.value)
            for piece, answer in zip(pieces, answers, strict=True)
        }

    def score(self) -> ReaderScore:
        """Over all frames."""
        task = self._network.task
        return ReaderScore(
            self._network.name,
            Score(task, tuple(self._on_true)),
            Score(task, tuple(self._end_to_end)),
            self._readings,
            self._right,
        )


def _text(truth: Truth, index: int) -> str | None:
    return truth.texts[index] if truth.texts else None


def _partners(detections: Detections, truth: Truth, indices: Sequence[int]) -> dict[int, int]:
    """Of each found box the true one that it is: the best free one, the surest box first."""
    if not len(truth.boxes) or not indices:
        return {}
    overlaps = box_overlaps(detections.boxes, truth.boxes)
    partners: dict[int, int] = {}
    for index in indices:  # by falling score
        row = overlaps[index].copy()
        row[list(partners.values())] = 0
        best = int(row.argmax())
        if row[best] >= OVERLAP:
            partners[index] = best
    return partners
