"""A task: networks that tell by how many degrees an image is turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lprc.plugin import ImageInput, Interface, Placement, Sample, StrictTable, Task, errors


class AngleTable(StrictTable):
    """A task file of kind ``image-angle``."""

    input: ImageInput
    tolerance: float = 5.0


class ImageAngle(Task):
    """Tells by how many degrees an image is turned: output [N, 1], the label is in the file name.

    ``tolerance`` says how many degrees an answer may be off.
    """

    kind: ClassVar[str] = "image-angle"
    table = AngleTable
    metric: ClassVar[str] = "share within tolerance"
    shares: ClassVar[bool] = True
    settings: AngleTable

    def labelled(self, data: Path) -> list[Sample]:
        """Images called for instance ``12.5-001.png``."""
        return [Sample(path, _angle(path)) for path in self.unlabelled(data)]

    def answers(
        self, outputs: Mapping[str, NDArray[Any]], places: Sequence[Placement | None]
    ) -> list[float]:
        """Degrees."""
        return [float(value) for value in next(iter(outputs.values())).reshape(-1)[: len(places)]]

    def judge(self, answer: float, truth: float) -> NDArray[np.float64]:
        """Whether it is near enough."""
        return np.array([abs(answer - truth) <= self.settings.tolerance], np.float64)

    def combine(self, records: Sequence[NDArray[np.float64]]) -> float:
        """The share of answers that are near enough."""
        return float(np.mean([record[0] for record in records]))

    @classmethod
    def like(cls, interface: Interface) -> dict[str, Any]:
        """The size of the model's input; red first, values from 0 to 1."""
        _, _, height, width = interface.inputs[interface.image_input]
        if height is None or width is None:
            raise errors.DataError("its input has no fixed size", where=interface.where)
        return {"input": {"width": width, "height": height, "color": "RGB", "scale": 1 / 255}}


def _angle(path: Path) -> float:
    try:
        return float(path.stem.partition("-")[0])
    except ValueError as error:
        raise errors.DataError("its name does not begin with degrees", where=str(path)) from error
