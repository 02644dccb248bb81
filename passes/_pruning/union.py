"""Sets of numbers that belong together, all at once in numpy: graphs have millions of channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def components(count: int, left: Ids, right: Ids) -> Ids:
    """The connected components of a graph with `count` vertices and an edge for each pair.

    Hooking and pointer jumping (Shiloach and Vishkin, "An O(log n) Parallel Connectivity
    Algorithm", 1982).

    Returns:
        int64 [count]: the smallest vertex of each vertex's component.
    """
    root: Ids = np.arange(count, dtype=np.int64)
    while left.size:
        a, b = root[left], root[right]
        apart = a != b
        if not apart.any():
            break
        left, right, a, b = left[apart], right[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while True:
            jumped = root[root]
            if np.array_equal(jumped, root):
                break
            root = jumped
    return root


def signatures(count: int, members: list[Ids]) -> NDArray[np.uint64]:
    """For each number below `count` a hash of the sets in `members` that it is in."""
    hashes: NDArray[np.uint64] = np.zeros(count, np.uint64)
    generator = np.random.default_rng(0)
    for numbers in members:
        hashes[np.unique(numbers)] ^= generator.integers(1, 2**64 - 1, dtype=np.uint64)
    return hashes
