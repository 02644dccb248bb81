"""Inputs of several kinds made from one, so that no accident of one kind hides a difference.

Standard normal inputs alone leave a graph where most images never are: half of the values below
zero, one scale for all. A rewrite is judged on other kinds too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.core.running.numerics import Arrays

_Family = Callable[[NDArray[Any], np.random.Generator], Any]


def is_float(array: object) -> bool:
    """Whether an input is an array of float16, float32 or float64."""
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


FAMILIES: dict[str, _Family] = {
    "sparse, non-negative": lambda array, generator: (
        np.abs(array) * (generator.random(array.shape) < 0.25)
    ),
    "tiny": lambda array, _: array * 2.0**-12,
    "large": lambda array, generator: array * 2.0 ** generator.integers(0, 8, array.shape),
}
"""What is made of an input of floats, by the words for it."""


def families(inputs: Arrays, seed: int) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    """`inputs` of each other kind, with its name: floats are changed, other types kept.

    Yields nothing where no input is a float.
    """
    floats = {name for name, array in inputs.items() if is_float(array)}
    if not floats:
        return
    for number, (name, make) in enumerate(FAMILIES.items()):
        generator = np.random.default_rng([seed, number])
        yield (
            name,
            {
                key: np.asarray(make(array, generator), array.dtype) if key in floats else array
                for key, array in inputs.items()
            },
        )
