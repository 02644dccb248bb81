"""How well plates were read."""

from __future__ import annotations

from collections.abc import Sequence


def exact_matches(predicted: Sequence[str], labels: Sequence[str]) -> int:
    """The number of plates whose whole text is right.

    Raises:
        ValueError: The two have different lengths.
    """
    return sum(text == label for text, label in zip(predicted, labels, strict=True))
