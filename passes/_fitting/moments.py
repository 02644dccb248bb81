"""The second moment of what a layer's rows are multiplied with, summed sample by sample."""

from __future__ import annotations

import functools

import numpy as np
import onnx
from numpy.typing import NDArray

from lprc.core.running.numerics import Session
from lprc.passes._fitting.unfold import Unfolded

Float = NDArray[np.float64]

GATHERED = 1 << 21
"""Elements that are gathered before a product: few large ones are much faster than many small."""


class Moments:
    """The moments of one layer's columns, which are what its rows are multiplied with.

    Args:
        layer: The layer.
        cross: Whether columns `x` that the layer should see, besides those `x'` that it sees, are
            added too.
    """

    def __init__(self, layer: Unfolded, *, cross: bool = False) -> None:
        shape = (layer.groups, layer.size, layer.size)
        self._second = np.zeros(shape)
        self._cross = np.zeros(shape) if cross else None
        self._count = 0
        self._seen: list[NDArray[np.float32]] = []
        self._exact: list[NDArray[np.float32]] = []
        self._waiting = 0

    def add(
        self,
        layer: Unfolded,
        seen: NDArray[np.float32],
        exact: NDArray[np.float32] | None = None,
    ) -> None:
        """Add one sample's input of a layer: what it sees, and what it should see.

        Args:
            layer: The layer, or another one that reads the same weight.
            seen: The input x'.
            exact: The input x.
        """
        for part in layer.columns(seen):
            self._seen.append(part)
            self._waiting += part.size
            self._count += part.shape[1]
        if self._cross is not None:
            assert exact is not None
            self._exact += layer.columns(exact)
        if self._waiting >= GATHERED:
            self._flush()

    def _flush(self) -> None:
        if not self._seen:
            return
        seen = np.concatenate(self._seen, axis=1)
        self._second += product(seen, seen)
        if self._cross is not None:
            exact = np.concatenate(self._exact, axis=1)
            self._cross += product(exact, seen)
        self._seen, self._exact, self._waiting = [], [], 0

    @property
    def second(self) -> Float:
        """``E[x' x'^T]``: float64 [groups, size, size]."""
        self._flush()
        return self._second / max(1, self._count)

    @property
    def cross(self) -> Float | None:
        """``E[x x'^T]``, of the same shape; None where `x'` is `x`."""
        self._flush()
        return None if self._cross is None else self._cross / max(1, self._count)


def product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """``left^T right`` of each group: float32 [groups, n, m] of [groups, positions, n] and m."""
    return np.asarray(_multiplier().run({"left": left, "right": right})["product"])


@functools.cache
def _multiplier() -> Session:
    # In ONNX Runtime, because OpenBLAS's threads wait for each other by spinning: beside another
    # busy process, or ONNX Runtime's own threads, numpy's product takes ten times as long.
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 13]>
        moments (float[g,p,n] left, float[g,p,m] right) => (float[g,n,m] product) {
            turned = Transpose <perm = [0, 2, 1]> (left)
            product = MatMul(turned, right)
        }"""
    )
    return Session(model.SerializeToString(), optimize=True, threads=2)
