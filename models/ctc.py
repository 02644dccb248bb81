"""Greedy CTC decoding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.models.plate_config import PlateConfig


def greedy_decode(logits: NDArray[np.floating], config: PlateConfig) -> list[str]:
    """Read the text of each plate: the best class of each step, repeats merged, blanks dropped.

    After Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2
    (best path decoding).

    Args:
        logits: float [N, classes, steps].
        config: Its alphabet gives the classes; the blank is the last.

    Raises:
        DataError: The logits do not have the alphabet's number of classes.
    """
    if logits.ndim != 3 or logits.shape[1] != config.num_classes:
        raise DataError(
            f"the output is {list(logits.shape)}, not [N, {config.num_classes}, steps]",
            where=f"plates '{config.name}'",
            hint="--plates names the alphabet that the network was trained with",
        )
    best = logits.argmax(axis=1)
    fresh = np.ones_like(best, dtype=bool)
    fresh[:, 1:] = best[:, 1:] != best[:, :-1]
    kept = fresh & (best != config.blank)
    alphabet = np.array([*config.alphabet, ""])
    return ["".join(alphabet[row[mask]]) for row, mask in zip(best, kept, strict=True)]
