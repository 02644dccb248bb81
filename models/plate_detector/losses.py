"""The detector's loss: score and box."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lprc.models.plate_detector.assignment import assign
from lprc.models.plate_detector.network import boxes_at

_BOX_WEIGHT = 2.0


@dataclass(frozen=True)
class DetectorLoss:
    """The parts of one batch's loss, each a scalar."""

    score: Tensor
    box: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised."""
        return self.score + _BOX_WEIGHT * self.box


def complete_overlap(first: Tensor, second: Tensor) -> Tensor:
    """Return the complete IoU of boxes [..., 4] pairwise, at most 1.

    After Z. Zheng et al., "Distance-IoU Loss", arXiv:1911.08287.
    """
    sizes = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3) for boxes in (first, second)]
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    overlap = shared / (sizes[0].prod(dim=-1) + sizes[1].prod(dim=-1) - shared)
    hull = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(
        first[..., :2], second[..., :2]
    )
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    distance = apart.square().sum(dim=-1) / hull.square().sum(dim=-1).clamp(min=1e-6)
    angles = [torch.atan(size[..., 0] / size[..., 1]) for size in sizes]
    shape = 4 / math.pi**2 * (angles[0] - angles[1]).square()
    with torch.no_grad():
        trade = shape / (1 - overlap + shape).clamp(min=1e-6)
    return overlap - distance - trade * shape


def quality_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the quality focal loss, summed; targets are 0 to 1.

    After X. Li et al., "Generalized Focal Loss", arXiv:2006.04388. Plain cross entropy, summed over
    thousands of empty points, drives every weight of the score negative within a few steps; the
    features behind ReLU then become 0 at the plates, and no gradient is left to raise the score.
    """
    error = (logits.detach().sigmoid() - targets).abs()
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (error.square() * entropy).sum()


def detector_loss(
    logits: Tensor,
    distances: Tensor,
    points: Tensor,
    strides: Tensor,
    plates: Tensor,
    present: Tensor,
) -> DetectorLoss:
    """Return the loss of a batch; the arguments as of `PlateDetector.forward` and `assign`."""
    logits, distances = logits.float(), distances.float()
    boxes = boxes_at(points, strides, distances)
    wanted = assign(logits.detach().sigmoid(), boxes.detach(), points, strides, plates, present)
    weight = wanted.targets.sum().clamp(min=1.0)
    score = quality_focal(logits, wanted.targets)
    # Rows without a plate have weight 0; the shape of the computation depends on no data.
    missing = (1 - complete_overlap(boxes, wanted.boxes)) * wanted.targets * wanted.positive
    return DetectorLoss(score / weight, missing.sum() / weight)
