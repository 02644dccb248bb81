"""How far one array agrees with another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def agreement(expected: NDArray[Any], output: NDArray[Any]) -> float:
    """How far an output agrees with what is expected, 0 to 1.

    With a class axis (axis 1 of two or more) it is the share of positions where the largest class
    is the same; else the cosine similarity.
    """
    if expected.ndim >= 2 and expected.shape[1] > 1:
        return float(np.mean(expected.argmax(axis=1) == output.argmax(axis=1)))
    left, right = expected.astype(np.float64).reshape(-1), output.astype(np.float64).reshape(-1)
    lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
    return max(0.0, float(left @ right) / lengths) if lengths > 0 else float(not left.any())


def mean_agreement(
    pairs: Iterable[tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]],
) -> float | None:
    """The mean over samples and outputs, 0 to 1; None where nothing is to be compared.

    Args:
        pairs: What was expected and what came out, one a sample.
    """
    shares = [
        agreement(array, outputs[name])
        for expected, outputs in pairs
        for name, array in expected.items()
    ]
    return float(np.mean(shares)) if shares else None
