"""The training loss: CTC, and an alignment loss that gets CTC started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lprc.core.errors import DataError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def align(
    label: NDArray[np.int64], centres: NDArray[np.float64], *, width: int, steps: int, blank: int
) -> NDArray[np.int64]:
    """Return int64 [steps]: the class that each time step should show, by where it looks.

    Synthetic plates know where their characters are; CTC alone spends thousands of steps on
    finding out.

    Args:
        label: int64 [n], the class of each character.
        centres: float64 [n], the x of each character in pixels.
        width: Width of the image in pixels.
        steps: Number of time steps of the network.
        blank: The class that means "no character".
    """
    frames = np.full(steps, blank, np.int64)
    frames[np.clip(np.floor(centres * steps / width), 0, steps - 1).astype(np.int64)] = label
    return frames


def plate_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    lengths: torch.Tensor,
    frames: torch.Tensor,
    *,
    blank: int,
    alignment: float,
) -> torch.Tensor:
    """Return the mean CTC loss per character, plus ``alignment`` times the alignment loss.

    CTC is that of Graves et al., "Connectionist Temporal Classification" (ICML 2006).

    Args:
        logits: float [n, classes, steps].
        targets: int64 [n, longest label], padded with anything.
        lengths: int64 [n], the characters of each label.
        frames: int64 [n, steps], from ``align``.
        blank: The class that means "no character".
        alignment: Weight of the cross-entropy against ``frames``; 0 leaves CTC alone.

    Raises:
        DataError: The loss is not finite.
    """
    import torch
    from torch.nn import functional

    logits = logits.float()
    steps = torch.full_like(lengths, logits.shape[2])
    loss = functional.ctc_loss(
        functional.log_softmax(logits, dim=1).permute(2, 0, 1),
        targets,
        steps,
        lengths,
        blank=blank,
    )
    if alignment:
        loss = loss + alignment * functional.cross_entropy(logits, frames)
    if not torch.isfinite(loss):
        raise DataError(
            f"the training loss is {loss.item()}",
            where="lprc.models.losses",
            hint="lower the learning rate, or look for a label too long for the time steps",
        )
    return loss
