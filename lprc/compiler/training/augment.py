"""Photographs as another camera might have taken them, in batches of torch tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed; each image by its own amounts, uniform within these.

    Attributes:
        shift: Of the image's size, either way.
        scale: Zoom, either way, each axis for itself.
        rotate: Degrees, either way.
        shear: Slope of what was vertical, either way.
        contrast: Of each image, either way; a third of it for each colour.
        brightness: Of the range of values, either way.
        noise: The largest standard deviation, of the range of values.
        blur: The fraction of images that are smoothed.
        splice: The fraction of images whose right part comes from another one, and again of those;
            only for training without labels.
    """

    shift: float = 0.03
    scale: float = 0.06
    rotate: float = 3.0
    shear: float = 0.1
    contrast: float = 0.3
    brightness: float = 0.15
    noise: float = 0.03
    blur: float = 0.2
    splice: float = 0.7

    def without_splices(self) -> Augmentation:
        """The same, for images that keep their labels."""
        return replace(self, splice=0.0)

    def without_motion(self) -> Augmentation:
        """The same, for images whose labels say where things are."""
        return replace(self, shift=0.0, scale=0.0, rotate=0.0, shear=0.0, splice=0.0)


NONE = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def augment(
    images: torch.Tensor, how: Augmentation, generator: torch.Generator, *, low: float, high: float
) -> torch.Tensor:
    """Changed copies of `images`, float32 [n, channels, height, width] with values low to high."""
    for _ in range(2):
        images = _spliced(images, how.splice, generator)
    images = _warped(images, how, generator)
    images = _lit(images, how, generator, low, high)
    images = _blurred(images, how.blur, generator)
    if how.noise:
        spread = _uniform(generator, len(images), 0.0, how.noise * (high - low))
        noise = torch.randn(images.shape, generator=generator)
        images = images + noise * spread[:, None, None, None]
    return images.clamp(low, high)


def _uniform(generator: torch.Generator, count: int, low: float, high: float) -> torch.Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _spliced(images: torch.Tensor, part: float, generator: torch.Generator) -> torch.Tensor:
    """Some with the right part of another (Yun et al., "CutMix", ICCV 2019, along one axis)."""
    if not part:
        return images
    width = images.shape[-1]
    other = images[torch.randperm(len(images), generator=generator)]
    where = _uniform(generator, len(images), 0.15, 0.85) * width
    chosen = torch.rand(len(images), generator=generator) < part
    from_other = (torch.arange(width)[None] >= where[:, None]) & chosen[:, None]
    return torch.where(from_other[:, None, None], other, images)


def _warped(images: torch.Tensor, how: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Moved, zoomed, turned and sheared."""
    if not (how.shift or how.scale or how.rotate or how.shear):
        return images
    count, (height, width) = len(images), images.shape[-2:]
    angle = _uniform(generator, count, -how.rotate, how.rotate) * (math.pi / 180)
    slope = _uniform(generator, count, -how.shear, how.shear)
    across = 1 + _uniform(generator, count, -how.scale, how.scale)
    down = 1 + _uniform(generator, count, -how.scale, how.scale)
    ratio = height / width  # coordinates run from -1 to 1 along both axes
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = across * angle.cos()
    theta[:, 0, 1] = (slope - angle.sin()) * ratio
    theta[:, 1, 0] = angle.sin() / ratio
    theta[:, 1, 1] = down * angle.cos()
    theta[:, 0, 2] = _uniform(generator, count, -how.shift, how.shift) * 2
    theta[:, 1, 2] = _uniform(generator, count, -how.shift, how.shift) * 2
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _lit(
    images: torch.Tensor, how: Augmentation, generator: torch.Generator, low: float, high: float
) -> torch.Tensor:
    """Darker, brighter, of more or less contrast, and of another colour."""
    if not (how.contrast or how.brightness):
        return images
    count, channels = images.shape[:2]
    gain = 1 + _uniform(generator, count, -how.contrast, how.contrast)[:, None]
    channel_gain = _uniform(generator, count * channels, -how.contrast / 3, how.contrast / 3)
    gains = (gain + channel_gain.reshape(count, channels))[:, :, None, None]
    lift = _uniform(generator, count, -how.brightness, how.brightness) * (high - low)
    means = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - means) * gains + means + lift[:, None, None, None]


def _blurred(images: torch.Tensor, part: float, generator: torch.Generator) -> torch.Tensor:
    """Some smoothed by a binomial 3 × 3 kernel."""
    if not part:
        return images
    chosen = torch.rand(len(images), generator=generator) < part
    if not bool(chosen.any()):
        return images
    row = torch.tensor([0.25, 0.5, 0.25])
    channels = images.shape[1]
    kernel = (row[:, None] * row)[None, None].expand(channels, 1, 3, 3).contiguous()
    smooth = functional.conv2d(
        functional.pad(images[chosen], [1, 1, 1, 1], mode="replicate"), kernel, groups=channels
    )
    mixed = images.clone()
    mixed[chosen] = smooth
    return mixed
