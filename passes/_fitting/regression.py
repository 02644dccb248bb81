"""Normal equations of linear operators on calibration data: which weights give which outputs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from lprc.core.running.numerics import Session
from lprc.passes._fitting.unfold import Unfolded

Float = NDArray[np.float64]

GATHERED = 1 << 21
"""Elements that are gathered before a product: few large ones are much faster than many small."""


class Normal:
    """Sums of products of what a layer's rows are multiplied with, and of what should come out.

    Memory does not grow with the number of samples. A column of ones stands for the bias.

    Args:
        layer: The layer.
        targets: Whether outputs are given too.
    """

    def __init__(self, layer: Unfolded, *, targets: bool = True) -> None:
        groups, rows, size = layer.order.shape
        self.layer = layer
        self._second = np.zeros((groups, size + 1, size + 1))
        self._cross = np.zeros((groups, size + 1, rows if targets else 0))
        self._energy = np.zeros((groups, rows if targets else 0))
        self._inputs: list[NDArray[np.float32]] = []
        self._outputs: list[NDArray[np.float32]] = []
        self._waiting = 0
        self.count = 0

    def add(self, seen: NDArray[np.float32], wanted: NDArray[np.float32] | None = None) -> None:
        """Add one sample: the layer's input, and the output that it should have."""
        spatial = self.layer.node.op_type in ("Conv", "ConvTranspose")
        pieces = range(len(seen)) if spatial else [slice(None)]
        for piece in pieces:
            one = seen[piece][None] if spatial else seen
            parts = list(self.layer.columns(one))
            columns = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
            rows = columns[:, :, :0] if wanted is None else self._rows(wanted, piece)
            self._inputs.append(columns)
            self._outputs.append(rows)
            self._waiting += columns.size
            self.count += columns.shape[1]
            if self._waiting >= GATHERED:
                self._flush()

    def _rows(self, wanted: NDArray[np.float32], piece: Any) -> NDArray[np.float32]:
        """The outputs as [groups, positions, rows]."""
        groups, rows = self.layer.order.shape[:2]
        if self.layer.node.op_type in ("Conv", "ConvTranspose"):
            return np.ascontiguousarray(wanted[piece].reshape(groups, rows, -1).transpose(0, 2, 1))
        return wanted.reshape(1, -1, rows)

    def _flush(self) -> None:
        if not self._inputs:
            return
        columns = np.concatenate(self._inputs, axis=1).astype(np.float64)
        rows = np.concatenate(self._outputs, axis=1).astype(np.float64)
        ones = np.ones((*columns.shape[:2], 1))
        columns = np.concatenate([columns, ones], axis=2)
        self._second += _product(columns, columns)
        if rows.shape[2]:
            self._cross += _product(columns, rows)
            self._energy += np.square(rows).sum(axis=1)
        self._inputs, self._outputs, self._waiting = [], [], 0

    @property
    def second(self) -> Float:
        """``E[x x^T]`` with a 1 at the end of x: float64 [groups, size + 1, size + 1]."""
        self._flush()
        return self._second / max(1, self.count)

    @property
    def cross(self) -> Float:
        """``E[x y^T]``: float64 [groups, size + 1, rows]."""
        self._flush()
        return self._cross / max(1, self.count)

    @property
    def energy(self) -> Float:
        """``E[y^2]``: float64 [groups, rows]."""
        self._flush()
        return self._energy / max(1, self.count)

    @property
    def covariance(self) -> Float:
        """Of x, without the 1: float64 [groups, size, size]."""
        second = self.second
        mean = second[:, :-1, -1]
        return second[:, :-1, :-1] - mean[:, :, None] * mean[:, None, :]


def _product(left: Float, right: Float) -> Float:
    """``left^T right`` of each group: float64 [groups, size, size]."""
    return np.asarray(_multiplier().run({"left": left, "right": right})["product"])


@functools.cache
def _multiplier() -> Session:
    # In ONNX Runtime, because OpenBLAS's threads wait for each other by spinning.
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 13]>
        moments (double[g,p,n] left, double[g,p,m] right) => (double[g,n,m] product) {
            turned = Transpose <perm = [0, 2, 1]> (left)
            product = MatMul(turned, right)
        }"""
    )
    # Not optimised: ONNX Runtime 1.23 would fuse it to an operator that it has not in float64.
    return Session(model.SerializeToString(), threads=2)
