"""Greedy CTC decoding."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError


class Alphabet(Protocol):
    """The characters that a network tells apart."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The characters by class, without the blank."""

    @property
    def blank(self) -> int:
        """The class that means "no character"."""

    @property
    def num_classes(self) -> int:
        """The characters and the blank."""


def check_classes(logits: NDArray[np.floating], alphabet: Alphabet) -> None:
    """Refuse logits that are not [N, classes, steps] with the alphabet's classes.

    Raises:
        DataError: They are not.
    """
    if logits.ndim != 3 or logits.shape[1] != alphabet.num_classes:
        raise DataError(
            f"the output is {list(logits.shape)}, not [N, {alphabet.num_classes}, steps]",
            where=f"task '{alphabet.name}'",
            hint="--task names the alphabet that the network was trained with",
        )


def greedy_decode(logits: NDArray[np.floating], alphabet: Alphabet) -> list[str]:
    """Read the text of each plate: the best class of each step, repeats merged, blanks dropped.

    After Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2
    (best path decoding).

    Args:
        logits: float [N, classes, steps].
        alphabet: Gives the classes; the blank is the last.

    Raises:
        DataError: The logits do not have the alphabet's number of classes.
    """
    check_classes(logits, alphabet)
    best = logits.argmax(axis=1)
    characters = np.array([*alphabet.alphabet, ""])
    return [
        "".join(characters[row[mask]])
        for row, mask in zip(best, _first_of_runs(best, alphabet), strict=True)
    ]


def character_confidences(logits: NDArray[np.floating], alphabet: Alphabet) -> list[list[float]]:
    """The softmax probability of each character that `greedy_decode` reads, 0 to 1.

    Raises:
        DataError: The logits do not have the alphabet's number of classes.
    """
    check_classes(logits, alphabet)
    best = logits.argmax(axis=1)
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    likeliest = 1 / np.exp(wide).sum(axis=1)
    return [
        [float(value) for value in row[mask]]
        for row, mask in zip(likeliest, _first_of_runs(best, alphabet), strict=True)
    ]


def _first_of_runs(best: NDArray[np.integer], alphabet: Alphabet) -> NDArray[np.bool_]:
    """Where a character begins in the best class of each step, [N, steps]."""
    fresh = np.ones_like(best, dtype=bool)
    fresh[:, 1:] = best[:, 1:] != best[:, :-1]
    beginning: NDArray[np.bool_] = fresh & (best != alphabet.blank)
    return beginning
