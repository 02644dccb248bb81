"""Where an image lies in a network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Resize = Literal["stretch", "letterbox", "letterbox-corner", "crop"]


@dataclass(frozen=True)
class Placement:
    """An image of `image` pixels scaled to `scaled` and put at `left`, `top` of `input`.

    Attributes:
        image: Width and height of the image.
        scaled: Width and height that it has in the input.
        left: Columns of the input left of it; negative where it is cut off.
        top: Rows of the input above it.
        input: Width and height of the input.
    """

    image: tuple[int, int]
    scaled: tuple[int, int]
    left: int
    top: int
    input: tuple[int, int]

    @classmethod
    def of(cls, image: tuple[int, int], size: tuple[int, int], resize: Resize) -> Placement:
        """How `resize` puts an image into an input.

        ``stretch`` ignores the aspect ratio, ``letterbox`` keeps it and adds borders on both
        sides, ``letterbox-corner`` on the right or below, ``crop`` keeps it and cuts what is
        beyond.

        Args:
            image: Width and height of the image.
            size: Width and height of the input.
            resize: How.
        """
        if resize == "stretch":
            return cls(image, size, 0, 0, size)
        ratios = (size[0] / image[0], size[1] / image[1])
        ratio = max(ratios) if resize == "crop" else min(ratios)
        width, height = (max(1, round(length * ratio)) for length in image)
        if resize == "letterbox-corner":
            return cls(image, (width, height), 0, 0, size)
        return cls(image, (width, height), (size[0] - width) // 2, (size[1] - height) // 2, size)

    @property
    def plain(self) -> bool:
        """Whether the image fills the input as it is."""
        return self.image == self.input == self.scaled

    def to_image(self, x: float, y: float) -> tuple[float, float]:
        """The place in the image of a place in the input, both in pixels."""
        return (
            (x - self.left) * self.image[0] / self.scaled[0],
            (y - self.top) * self.image[1] / self.scaled[1],
        )
