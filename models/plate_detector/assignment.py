"""Which points of the grids learn which plate.

After C. Feng et al., "TOOD: Task-aligned One-stage Object Detection", arXiv:2108.07755: a plate is
learnt by the few points that already score and locate it best.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TOP_POINTS = 9
_SCORE_POWER, _OVERLAP_POWER = 0.5, 4.0
_LEAST_REACH = 0.75
"""In strides. A plate lower than a cell has still a point within reach of its centre."""


@dataclass(frozen=True)
class Assignment:
    """What each point of each image learns.

    Attributes:
        targets: float32 [batch, points], the wanted score; 0 where no plate is.
        positive: bool [batch, points].
        boxes: float32 [batch, points, 4], the wanted box where ``positive``.
    """

    targets: Tensor
    positive: Tensor
    boxes: Tensor


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union of boxes [..., 4], broadcast against each other."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = [
        (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1) for boxes in (first, second)
    ]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-6)


@torch.no_grad()
def assign(
    scores: Tensor,
    boxes: Tensor,
    points: Tensor,
    strides: Tensor,
    plates: Tensor,
    present: Tensor,
) -> Assignment:
    """Assign points to plates.

    Args:
        scores: float32 [batch, points], predicted, 0 to 1.
        boxes: float32 [batch, points, 4], predicted, in pixels.
        points: float32 [points, 2].
        strides: float32 [points, 1].
        plates: float32 [batch, plates, 4] in pixels; at least one column, padded.
        present: bool [batch, plates]: which are no padding.
    """
    centres = (plates[..., :2] + plates[..., 2:]) / 2
    halves = (plates[..., 2:] - plates[..., :2]) / 2
    reach = torch.maximum(halves[:, :, None], _LEAST_REACH * strides)
    inside = ((points - centres[:, :, None]).abs() < reach).all(dim=-1) & present[..., None]
    overlap = overlaps(plates[:, :, None], boxes[:, None])
    metric = scores[:, None].pow(_SCORE_POWER) * overlap.pow(_OVERLAP_POWER)
    # The floor orders nothing, but lets a plate that no prediction overlaps have points.
    metric = (metric + 1e-9) * inside

    best = metric.topk(TOP_POINTS, dim=-1)
    chosen = torch.zeros_like(metric).scatter_(2, best.indices, (best.values > 0).float()) > 0
    owner = torch.where(chosen, overlap, -1.0).argmax(dim=1)
    owned = torch.zeros_like(chosen).scatter_(1, owner[:, None], True) & chosen
    metric = metric * owned
    strongest = metric.amax(dim=-1, keepdim=True).clamp(min=1e-12)
    best_overlap = (overlap * owned).amax(dim=-1, keepdim=True)
    targets = (metric / strongest * best_overlap).amax(dim=1)
    wanted = plates.gather(1, owner[..., None].expand(-1, -1, 4))
    return Assignment(targets, owned.any(dim=1), wanted)
