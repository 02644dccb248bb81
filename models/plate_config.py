"""The properties of one country's plates: alphabet, image size and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lprc.core.errors import DataError
from lprc.core.tasks.image_input import ImageInput
from lprc.core.tasks.task import Task
from lprc.core.tasks.task_file import task_choice
from lprc.models.tasks.plates import Plates

ChannelOrder = Literal["BGR", "RGB"]


@dataclass(frozen=True)
class PlateConfig:
    """How plates are turned into a network's input, and its output into text.

    Attributes:
        name: What to call it; the file's stem.
        alphabet: The characters by class, without the blank.
        width: Image width in pixels.
        height: Image height in pixels.
        channels: The order of the colour channels.
        mean: What is subtracted from each 0…255 value.
        scale: What the difference is multiplied by.
    """

    name: str
    alphabet: tuple[str, ...]
    width: int
    height: int
    channels: ChannelOrder
    mean: float
    scale: float

    @property
    def blank(self) -> int:
        """The class that means "no character": the last."""
        return len(self.alphabet)

    @property
    def num_classes(self) -> int:
        """The characters and the blank."""
        return len(self.alphabet) + 1

    @cached_property
    def input(self) -> ImageInput:
        """How an image becomes the network's input."""
        return ImageInput.model_validate(
            {
                "width": self.width,
                "height": self.height,
                "color": self.channels,
                "mean": self.mean,
                "scale": self.scale,
            }
        )

    @classmethod
    def named(cls, name: str) -> PlateConfig:
        """The configuration of a built-in task by name, or of a task file by path.

        Raises:
            DataError: No such name or file, or one that is not of plates with one mean and scale.
            UsageError: A third party's task that can't be loaded.
        """
        return cls.of(task_choice(name).task, name)

    @classmethod
    def of(cls, task: Task | None, where: str) -> PlateConfig:
        """The configuration of a task.

        Raises:
            DataError: It is not one of plates with one mean and scale.
        """
        if not isinstance(task, Plates):
            raise DataError("is no task of kind 'plates'", where=where)
        image = task.input
        if image.color == "GRAY" or len(image.mean) > 1 or len(image.scale) > 1:
            raise DataError("has a mean and scale for each channel, or no colours", where=where)
        return cls(
            name=task.name,
            alphabet=task.alphabet,
            width=image.width,
            height=image.height,
            channels=image.color,
            mean=image.mean[0],
            scale=image.scale[0],
        )
