"""Which output is what, where a task file names none: by shape, then by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from lprc.core.tasks.arrangement import arrangement

Array = NDArray[Any]

_WORDS = {
    "boxes": ("box", "loc", "reg", "delta", "offset"),
    "scores": ("score", "conf", "cls", "class", "prob", "label"),
    "objectness": ("obj", "center", "centre", "ctr"),
}
"""Of the names of outputs."""


def told_by_shape(
    outputs: Mapping[str, Array], key: str, channels: int, per_cell: int = 1
) -> dict[str, Array]:
    """The outputs that have `channels`, each as of `cells_of`.

    Those whose last axis they are go before those that must be turned for it. Of several, those
    whose names speak of something else are left out: there may be as many classes as a box has
    sides.

    Args:
        outputs: By name.
        key: ``scores``, ``boxes`` or ``objectness``.
        channels: Numbers for each box.
        per_cell: Boxes for each cell of a map.
    """
    cells = {name: cells_of(array, channels, per_cell) for name, array in outputs.items()}
    fitting = {name: array for name, array in cells.items() if array is not None}
    straight = {
        name: array
        for name, array in fitting.items()
        if outputs[name].ndim != 3 or outputs[name].shape[2] == channels
    }
    fitting = straight or fitting
    speaking = {name: array for name, array in fitting.items() if not _is_of_another(name, key)}
    return speaking or fitting


def _is_of_another(name: str, key: str) -> bool:
    spoken = {role for role, words in _WORDS.items() if any(word in name.lower() for word in words)}
    return bool(spoken) and key not in spoken


def cells_of(array: Array, channels: int, per_cell: int = 1) -> Array | None:
    """An output as [N, cells * per_cell, channels]; None where it has other channels.

    Args:
        array: Of the shapes that `arrangement` knows.
        channels: Numbers for each box.
        per_cell: Boxes for each cell of a map.
    """
    way = arrangement(array.shape[1:], channels, per_cell)
    return None if way is None else way.table(array)
