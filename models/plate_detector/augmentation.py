"""Augmentation of whole batches on the training device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from lprc.models.plate_detector.network import MEAN, SCALE

_LEAST_VISIBLE = 0.4
_LEAST_HEIGHT = 3.0


@dataclass(frozen=True)
class Strength:
    """How far augmentation goes.

    Attributes:
        zoom: Standard deviation of the logarithm of the scale.
        cut: Part of the pictures that get a window of another.
        colour: 1 is full strength, 0 none.
    """

    zoom: float = 0.32
    cut: float = 0.35
    colour: float = 1.0


@dataclass(frozen=True)
class Batch:
    """What a training step takes.

    Attributes:
        images: float32 [batch, 3, height, width], BGR, normalised as the network takes it.
        boxes: float32 [batch, plates, 4] in pixels, padded.
        present: bool [batch, plates].
    """

    images: Tensor
    boxes: Tensor
    present: Tensor


def letterboxed(images: Tensor, height: int, width: int) -> Tensor:
    """Return uint8 RGB [n, 3, h, w] as the network's input, at the upper left on grey.

    The images are not scaled: they are no larger than ``height`` and ``width``.
    """
    bgr = (images.flip(1).float() - MEAN) * SCALE
    room = (0, width - images.shape[3], 0, height - images.shape[2])
    return functional.pad(bgr, room)


def augmented(
    images: Tensor, boxes: Tensor, present: Tensor, size: tuple[int, int], strength: Strength
) -> Batch:
    """Return a batch of ``size`` (height, width) from uint8 RGB pictures and their boxes.

    Arguments as of `PicturePool`; everything is chosen for each picture anew.
    """
    views, boxes, present = _views(images, boxes, present, size, strength.zoom)
    views, boxes, present = _windows(views, boxes, present, strength.cut)
    return Batch(_coloured(views, strength.colour).flip(1) * SCALE, boxes, present)


@cache
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return ``values`` on ``device``; to send them there anew would wait for all its work."""
    return torch.tensor(values, device=device)


def _uniform(count: int, low: float, high: float, like: Tensor) -> Tensor:
    return torch.rand(count, device=like.device) * (high - low) + low


def _views(
    images: Tensor, boxes: Tensor, present: Tensor, size: tuple[int, int], zoom: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, move and mirror: float32 views less ``MEAN``, with 0 beyond the pictures."""
    count, _, source_height, source_width = images.shape
    height, width = size
    scale = (torch.randn(count, device=images.device) * zoom).exp().clamp(0.4, 2.2)
    stretch = (torch.randn(count, device=images.device) * 0.06).exp()
    scales = torch.stack([scale * stretch, scale / stretch], dim=1)
    target = _constant((float(width), float(height)), images.device)
    source = _constant((float(source_width), float(source_height)), images.device)
    room = target - scales * source
    shift = torch.rand_like(room) * room  # inside of the view, or the view inside of it
    mirrored = torch.rand(count, device=images.device) < 0.5

    ratio = target / (scales * source)
    offset = ratio - 2 * shift / (scales * source) - 1
    sign = torch.where(mirrored, -1.0, 1.0)
    matrix = torch.zeros(count, 2, 3, device=images.device)
    matrix[:, 0, 0], matrix[:, 0, 2] = ratio[:, 0] * sign, offset[:, 0] * sign
    matrix[:, 1, 1], matrix[:, 1, 2] = ratio[:, 1], offset[:, 1]
    grid = functional.affine_grid(matrix, [count, 3, height, width], align_corners=False)
    views = functional.grid_sample(
        images.float() - MEAN, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )

    flipped = torch.stack(
        [source_width - boxes[..., 2], boxes[..., 1], source_width - boxes[..., 0], boxes[..., 3]],
        dim=-1,
    )
    moved = torch.where(mirrored[:, None, None], flipped, boxes)
    moved = moved * scales.repeat(1, 2)[:, None] + shift.repeat(1, 2)[:, None]
    bounds = target.repeat(2)
    return views, *_cut_to(moved, present, torch.zeros_like(bounds), bounds)


def _cut_to(boxes: Tensor, present: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Cut boxes to [low, high] and drop those of which too little is left."""
    inside = torch.minimum(torch.maximum(boxes, low), high)
    sizes, whole = inside[..., 2:] - inside[..., :2], boxes[..., 2:] - boxes[..., :2]
    left = sizes.prod(dim=-1) / whole.prod(dim=-1).clamp(min=1e-6)
    return inside, present & (left > _LEAST_VISIBLE) & (sizes[..., 1] > _LEAST_HEIGHT)


def _windows(
    views: Tensor, boxes: Tensor, present: Tensor, share: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Put a window of the next picture into some.

    After S. Yun et al., "CutMix", arXiv:1905.04899.
    """
    count, _, height, width = views.shape
    extent = _constant((float(width), float(height)), views.device)
    size = (torch.rand(count, 2, device=views.device) * 0.5 + 0.25) * extent
    size = size * (torch.rand(count, 1, device=views.device) < share)
    low = torch.rand(count, 2, device=views.device) * (extent - size)
    high = low + size
    x = torch.arange(width, device=views.device)[None, None, None] + 0.5
    y = torch.arange(height, device=views.device)[None, None, :, None] + 0.5
    bounds = [edge[:, :, None, None, None] for edge in (low, high)]
    within = (x > bounds[0][:, 0]) & (x < bounds[1][:, 0])
    within = within & (y > bounds[0][:, 1]) & (y < bounds[1][:, 1])
    mixed = torch.where(within, views.roll(1, dims=0), views)

    corners = low.repeat(1, 2)[:, None], high.repeat(1, 2)[:, None]
    covered = torch.minimum(torch.maximum(boxes, corners[0]), corners[1])
    hidden = (covered[..., 2:] - covered[..., :2]).prod(dim=-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1).clamp(min=1e-6)
    remaining = present & (hidden < (1 - _LEAST_VISIBLE) * areas)
    added, shown = _cut_to(boxes.roll(1, dims=0), present.roll(1, dims=0), *corners)
    return mixed, torch.cat([boxes, added], dim=1), torch.cat([remaining, shown], dim=1)


def _coloured(views: Tensor, strength: float) -> Tensor:
    """Change colours, contrast, sharpness and noise of views less ``MEAN``."""
    count = len(views)

    def spread(values: Tensor) -> Tensor:
        return values.view(count, -1, 1, 1)

    gains = (torch.randn(count, 3, device=views.device) * 0.18 * strength).exp()
    contrast = (torch.randn(count, 1, device=views.device) * 0.22 * strength).exp()
    result = (views + MEAN) * spread(gains * contrast) - MEAN
    result = result + spread(torch.randn(count, 1, device=views.device) * 14 * strength)
    grey = result.mean(dim=1, keepdim=True)
    saturation = _uniform(count, 1 - 0.5 * strength, 1 + 0.4 * strength, views)
    saturation = saturation * (torch.rand(count, device=views.device) > 0.06 * strength)
    result = grey + (result - grey) * spread(saturation)
    kernel = _constant((1.0, 2.0, 1.0), views.device)
    kernel = (kernel[:, None] * kernel / 16).expand(3, 1, 3, 3)
    blurred = functional.conv2d(result, kernel, padding=1, groups=3)
    amount = _uniform(count, -1.2, 1.0, views).clamp(min=0) * strength
    result = torch.lerp(result, blurred, spread(amount))
    coarse = functional.interpolate(
        functional.avg_pool2d(result, 2), scale_factor=2.0, mode="bilinear"
    )
    reduced = (torch.rand(count, device=views.device) < 0.12 * strength).float()
    result = torch.lerp(result, coarse, spread(reduced))
    noise = torch.randn_like(result) * spread(_uniform(count, 0, 8 * strength, views))
    return (result + noise).clamp(-MEAN, 255 - MEAN)
