"""Losses on labels, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lprc.core.errors import DataError
from lprc.models.ctc import Alphabet


def ctc(logits: torch.Tensor, labels: Sequence[str], alphabet: Alphabet) -> torch.Tensor:
    """Connectionist temporal classification a character (Graves et al., ICML 2006).

    Args:
        logits: float32 [n, classes, steps].
        labels: n texts.
        alphabet: Gives the classes; the blank is the last.

    Raises:
        DataError: A label longer than there are steps.
    """
    steps = logits.shape[2]
    longest = max(labels, key=len)
    if len(longest) > steps:
        raise DataError(f"label '{longest}' is longer than the network's {steps} steps")
    classes = {character: index for index, character in enumerate(alphabet.alphabet)}
    flat = torch.tensor([classes[letter] for label in labels for letter in label])
    lengths = torch.tensor([len(label) for label in labels])
    return functional.ctc_loss(
        functional.log_softmax(logits, dim=1).permute(2, 0, 1),
        flat.to(logits.device),
        torch.full((len(labels),), steps, dtype=torch.int64),
        lengths,
        blank=alphabet.blank,
    )


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, *, ignore: int = -100, focal: float = 0.0
) -> torch.Tensor:
    """Softmax cross-entropy, a mean over what is labelled.

    With `focal` above 0 each term is multiplied by (1 - p)^focal, p being what the network gives
    the right class (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017): what is told
    well already counts little, so rare classes are heard.

    Args:
        logits: float32 [n, classes, ...].
        labels: int64 [n, ...].
        ignore: The class that counts for nothing.
        focal: The exponent.
    """
    if not focal:
        return functional.cross_entropy(logits, labels, ignore_index=ignore)
    terms = functional.cross_entropy(logits, labels, ignore_index=ignore, reduction="none")
    counted = (labels != ignore).sum().clamp_min(1)
    missed = (-torch.expm1(-terms)).clamp_min(1e-12)  # a root has no slope at 0
    return missed.pow(focal).mul(terms).sum() / counted


def pixel_loss(
    logits: torch.Tensor, masks: Sequence[Any], *, ignore: int | None, dice: float, focal: float
) -> torch.Tensor:
    """`cross_entropy` a pixel plus `dice` times the soft Dice loss.

    Milletari et al., "V-Net", 3DV 2016; a mean over the classes that occur.

    Args:
        logits: float32 [n, classes, height, width]; scaled to the masks' size (bilinear).
        masks: n arrays uint8 [height, width] of classes.
        ignore: The class that counts for nothing.
        dice: The weight of the Dice loss.
        focal: As of `cross_entropy`.
    """
    truth = torch.from_numpy(np.stack(masks).astype(np.int64)).to(logits.device)
    if logits.shape[2:] != truth.shape[1:]:
        size = list(truth.shape[1:])
        logits = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    beyond = -100 if ignore is None else ignore
    loss = cross_entropy(logits, truth, ignore=beyond, focal=focal)
    if not dice:
        return loss
    counted = truth != beyond
    classes = torch.where(counted, truth, 0)
    wanted = functional.one_hot(classes, logits.shape[1]).permute(0, 3, 1, 2)
    wanted = wanted * counted[:, None]
    likely = logits.softmax(dim=1) * counted[:, None]
    overlap = (likely * wanted).sum(dim=(0, 2, 3))
    sizes = (likely + wanted).sum(dim=(0, 2, 3))
    occurring = wanted.sum(dim=(0, 2, 3)) > 0
    score: torch.Tensor = (2 * overlap + 1) / (sizes + 1)
    return loss + dice * (1 - score[occurring].mean())
