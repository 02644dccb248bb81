"""Images and masks that are moved together, and images in other light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Strength:
    """How much a picture is changed.

    Attributes:
        crop: Part of width and height that is shown, 0 to 1.
        smallest: Least magnification; never less than fills the crop.
        largest: Largest magnification.
        colour: How far brightness, contrast and saturation are from 1 at most.
    """

    crop: float = 1.0
    smallest: float = 0.75
    largest: float = 2.0
    colour: float = 0.3


def augmented(
    image: Pixels, mask: Pixels, strength: Strength, generator: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """A part of a picture at another scale, perhaps mirrored, in another light.

    Args:
        image: uint8 [height, width, 3], or [height, width] where it is grey.
        mask: uint8 [height, width].
        strength: How much.
        generator: Decides.

    Returns:
        Both with `strength.crop` times the height and width; the mask has no class that was not
        in it before.
    """
    height, width = mask.shape
    size = (max(1, round(width * strength.crop)), max(1, round(height * strength.crop)))
    least = max(strength.smallest, size[0] / width, size[1] / height)
    scale = np.exp(generator.uniform(np.log(least), np.log(max(least, strength.largest))))
    shown = (min(width, size[0] / scale), min(height, size[1] / scale))
    left = generator.uniform(0, width - shown[0])
    top = generator.uniform(0, height - shown[1])
    box = (left, top, left + shown[0], top + shown[1])
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box)
    classes = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST, box)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        factor = 1 + generator.uniform(-strength.colour, strength.colour)
        picture = enhance(picture).enhance(factor)
    pair = np.asarray(picture), np.asarray(classes)
    if generator.random() < 0.5:
        pair = pair[0][:, ::-1], pair[1][:, ::-1]
    return np.ascontiguousarray(pair[0]), np.ascontiguousarray(pair[1])
