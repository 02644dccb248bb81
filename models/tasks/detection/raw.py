"""What a network gives for a batch, as far as decoders share it: which output is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.tasks.points import grid_sizes
from lprc.models.tasks.detection.roles import Array, cells_of, told_by_shape
from lprc.models.tasks.detection.table import Activation, BoxOutputs


@dataclass(frozen=True)
class Candidates:
    """Boxes before suppression.

    Attributes:
        boxes: float32 [N, K, 4]: left, top, right, bottom in pixels of the input.
        scores: float32 [N, K, classes], 0 to 1.
        landmarks: float32 [N, K, 4, 2]: x and y in pixels of the input; None where the task file
            names no such output.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Raw:
    """Outputs of a batch and what the task file says of them.

    Attributes:
        outputs: By name, in the model's order.
        settings: With the head's defaults filled in.
        size: Width and height of the input in pixels.
        where: What to call the task in errors.
    """

    outputs: Mapping[str, Array]
    settings: BoxOutputs
    size: tuple[int, int]
    where: str

    @property
    def score_channels(self) -> int:
        """The classes, and the background where there is one."""
        return len(self.settings.classes) + (self.settings.background != "none")

    def named(self, names: Sequence[str]) -> list[Array]:
        """Outputs by name.

        Raises:
            DataError: There is no such output.
        """
        for name in names:
            if name not in self.outputs:
                raise DataError(
                    f"there is no output '{name}'",
                    where=self.where,
                    hint=f"those of the model: {', '.join(self.outputs)}",
                )
        return [self.outputs[name] for name in names]

    def role(self, key: str, channels: int, per_cell: int = 1) -> NDArray[np.float32] | None:
        """The outputs of one meaning as float32 [N, K, channels]; None where there are none.

        They are those that the task file names under `key`, else those of `told_by_shape`; several
        are levels, the finest first.

        Args:
            key: ``scores``, ``boxes`` or ``objectness``.
            channels: Numbers for each box.
            per_cell: Boxes for each cell.

        Raises:
            DataError: One that the file names is missing or has another shape.
        """
        levels = self.levels(key, channels, per_cell)
        return np.concatenate([*levels.values()], axis=1).astype(np.float32) if levels else None

    def levels(self, key: str, channels: int, per_cell: int = 1) -> dict[str, Array]:
        """The outputs of `role` by name, each [N, K, channels], the finest level first.

        Raises:
            DataError: As of `role`.
        """
        return finest_first(self._told(key, channels, per_cell))

    def needed(self, key: str, channels: int, per_cell: int = 1) -> NDArray[np.float32]:
        """As `role`.

        Raises:
            DataError: There are none.
        """
        cells = self.role(key, channels, per_cell)
        if cells is None:
            raise self.wrong(f"no output of {key} has {channels} channels")
        return cells

    def boxes_and_scores(
        self, per_cell: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What two outputs, or two a level, say: [N, K, 4], and scores as of `class_scores`.

        Raises:
            DataError: There are no such outputs, or one may be either.
        """
        self.levels_apart(per_cell)
        logits = self.needed("scores", self.score_channels, per_cell)
        return self.needed("boxes", 4, per_cell), self.class_scores(logits)

    def levels_apart(self, per_cell: int = 1) -> tuple[dict[str, Array], dict[str, Array]]:
        """The outputs of boxes, and those of scores, as of `levels`.

        Raises:
            DataError: One may be either.
        """
        boxes = self.levels("boxes", 4, per_cell)
        scores = self.levels("scores", self.score_channels, per_cell)
        for name in boxes.keys() & scores.keys():
            raise self.wrong(f"output '{name}' may be boxes or scores")
        return boxes, scores

    def landmarks(self, per_cell: int = 1) -> NDArray[np.float32] | None:
        """The outputs that the task file names so, [N, K, 4, 2]; None where it names none.

        Raises:
            DataError: One is missing or has no eight channels.
        """
        if not self.settings.landmarks:
            return None
        cells = self.needed("landmarks", 8, per_cell)
        return cells.reshape(*cells.shape[:2], 4, 2)

    def unnamed(self) -> dict[str, Array]:
        """The outputs that the task file names for nothing."""
        settings = self.settings
        named = {*settings.scores, *settings.boxes, *settings.objectness, *settings.landmarks}
        return {name: array for name, array in self.outputs.items() if name not in named}

    def _told(self, key: str, channels: int, per_cell: int) -> dict[str, Array]:
        names: Sequence[str] = getattr(self.settings, key)
        if not names:
            return told_by_shape(self.unnamed(), key, channels, per_cell)
        levels = {}
        for name, array in zip(names, self.named(names), strict=True):
            cells = cells_of(array, channels, per_cell)
            if cells is None:
                raise self.wrong(f"output '{name}' is {list(array.shape)}, not {channels} channels")
            levels[name] = cells
        return levels

    def class_scores(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the head gives as scores, 0 to 1 and without the background."""
        return self.without_background(activated(logits, self.settings.activation or "none"))

    def without_background(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores [..., channels] of the classes alone."""
        if self.settings.background == "first":
            return scores[..., 1:]
        return scores[..., :-1] if self.settings.background == "last" else scores

    def check_cells(self, array: Array, count: int) -> None:
        """Refuse outputs that are not of this input and these strides.

        Raises:
            DataError: Axis 1 is not `count`.
        """
        if array.shape[1] != count:
            strides = list(self.settings.strides)
            grids = " + ".join(f"{w}x{h}" for w, h in grid_sizes(self.size, strides))
            raise self.wrong(
                f"the outputs have {array.shape[1]} boxes, and strides {strides} "
                f"(grids {grids}) make {count}"
            )

    def wrong(self, message: str) -> DataError:
        """An error that shows the outputs' shapes."""
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in self.outputs.items())
        return DataError(
            f'{message}: head = "{self.settings.head}" does not fit the outputs {shapes}',
            where=self.where,
            hint="[output] head, classes, strides and anchors say what outputs mean; "
            "scores and boxes name them",
        )


def finest_first(levels: Mapping[str, Array]) -> dict[str, Array]:
    """Levels [N, K, channels] by name, those of most places first."""
    return dict(sorted(levels.items(), key=lambda level: -level[1].shape[1]))


def activated(logits: NDArray[np.float32], activation: Activation) -> NDArray[np.float32]:
    """Logits [..., classes] as scores."""
    if activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)
    if activation == "softmax":
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
    return logits
