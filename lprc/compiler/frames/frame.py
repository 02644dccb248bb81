"""A frame on its way through a pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from lprc.compiler.frames.results import Reading


@dataclass
class Frame:
    """One picture and what has been made of it.

    Attributes:
        source: The file, camera or address that it comes from.
        number: Of the source's frames, from 0.
        image: RGB; None once nothing needs it.
        seconds: Its time in a video; None for an image file.
        error: Why there is no picture; then nothing else is known.
        readings: What each network says, by name: one for the frame, or one for each crop.
        batches: What waits to be inferred, by network.
        stages: Seconds that each step took.
    """

    source: str
    number: int
    image: Image.Image | None = None
    seconds: float | None = None
    error: str | None = None
    readings: dict[str, list[Reading]] = field(default_factory=dict)
    batches: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def picture(self) -> Image.Image:
        """The image, which is there."""
        assert self.image is not None
        return self.image

    @property
    def name(self) -> str:
        """For instance ``street.mp4 #12``."""
        return self.source if self.seconds is None else f"{self.source} #{self.number}"

    @property
    def reading(self) -> Reading:
        """What the first network says of the whole frame."""
        return next(iter(self.readings.values()))[0]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's seconds to a step's."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - begun
            self.stages[stage] = self.stages.get(stage, 0.0) + taken

    def document(self, *, stages: bool = False) -> dict[str, Any]:
        """As JSON data.

        Args:
            stages: Whether to tell the milliseconds of each step.
        """
        document: dict[str, Any] = {"source": self.source, "frame": self.number}
        if self.seconds is not None:
            document["time"] = round(self.seconds, 6)
        if self.error is not None:
            return {**document, "error": self.error}
        document["size"] = list(self.picture.size)
        document |= self.reading.document()
        if stages:
            document["stages"] = {name: round(t * 1e3, 3) for name, t in self.stages.items()}
        return document
