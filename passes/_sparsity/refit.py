"""A layer fitted again so that what its Relu lets through moves least on sampled positions.

Half of a Conv's outputs are negative and a Relu makes them zero, whatever they are: errors there
cost nothing (Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification and
Detection", TPAMI 2016, fit the nonlinear response for that reason). So each row has a metric of
its own, in which positions that the Relu blocks count little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lprc.passes._fitting.sparse_regression import Regression

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

BLOCKED = 0.05
"""How much a position counts that the Relu blocks: not nothing, so that it stays blocked on other
images too."""

_BLOCKED = np.float32(BLOCKED)


class Seen:
    """What the rows of a layer are multiplied with.

    Attributes:
        columns: float32 [positions, size + 1]; the last column has ones.
        moment: Their second moment, float64 [size + 1, size + 1].

    Args:
        columns: float32 [positions, size].
    """

    def __init__(self, columns: Float32) -> None:
        ones = np.ones((len(columns), 1), np.float32)
        self.columns = np.concatenate([columns, ones], axis=1)
        self.moment = second_moment(self.columns)


class Fit:
    """Rows of a layer, and what they should put out.

    Args:
        seen: What the rows are multiplied with.
        wanted: The outputs of the unchanged layer, bias included: float32 [rows, positions].
        weight: The unchanged rows: float64 [rows, size].
        relu: Whether only a Relu sees the output.
        damping: How much rows are held to `weight`, as a fraction of the mean of the diagonal.
    """

    def __init__(
        self, seen: Seen, wanted: Float32, weight: Float, *, relu: bool, damping: float
    ) -> None:
        self.seen = seen
        self.weight = weight
        self.relu = relu
        self._damping = damping
        self._wanted = wanted
        self._passed = wanted > 0 if relu else None
        self._active = None if self._passed is None else self._moments(self._passed)

    def outputs(self, weight: Float, bias: Float) -> Float32:
        """The outputs of other rows: float32 [rows, positions]."""
        both = np.concatenate([weight, bias[:, None]], axis=1).astype(np.float32)
        return np.asarray(both @ self.seen.columns.T)

    def problem(self, outputs: Float32 | None = None) -> Solvable:
        """The least squares problem around what the rows put out now; at first, what is wanted."""
        if self._passed is None or self._active is None:
            return self._centred(self.seen.moment[None].copy(), self._cross(self._wanted))
        target = np.where(self._passed, self._wanted, self._wanted * _BLOCKED)
        if outputs is None:
            second = self._active.copy()
        else:
            # What should be blocked and is not must get down to zero, and no further.
            more = (outputs > 0) & ~self._passed
            target[more] = 0.0
            second = self._moments(more)
            second += self._active
        second *= 1 - BLOCKED
        second += BLOCKED * self.seen.moment
        return self._centred(second, self._cross(target))

    def _cross(self, target: Float32) -> Float:
        return np.asarray(target @ self.seen.columns, np.float64)

    def _moments(self, counts: Mask) -> Float:
        """The second moment of the positions that count for each row: [rows, size, size]."""
        columns = self.seen.columns
        moments = np.empty((len(counts), columns.shape[1], columns.shape[1]))
        # Fresh memory for each row's positions would take as long as the product.
        gathered = np.empty_like(columns)
        for row, counted in enumerate(counts):
            places = np.flatnonzero(counted)
            counted_columns = np.take(
                columns, places, axis=0, out=gathered[: len(places)], mode="clip"
            )
            moments[row] = second_moment(counted_columns)
        return moments

    def _centred(self, second: Float, cross: Float) -> Solvable:
        """Take the bias out: it is whatever the means leave. Changes `second`."""
        size = second.shape[1] - 1
        total = second[:, -1, -1].copy()
        second /= total[:, None, None]
        mean = second[:, :size, -1].copy()
        wanted = cross[:, -1] / total
        moment = second[:, :size, :size]
        moment -= mean[:, :, None] * mean[:, None]
        product_of = cross[:, :size] / total[:, None] - mean * wanted[:, None]
        trace = np.einsum("rkk->r", moment) / size
        ridge = np.where(trace > 0, trace * self._damping, 1.0)
        np.einsum("rkk->rk", moment)[:] += ridge[:, None]
        product_of = product_of + ridge[:, None] * self.weight
        moment = moment[0] if len(moment) == 1 else moment
        return Solvable(Regression(product_of, moment), mean, wanted)


@dataclass(frozen=True)
class Solvable:
    """A least squares problem of rows without their biases.

    Attributes:
        regression: The problem.
        mean: Of what the rows are multiplied with: float64 [rows or 1, size].
        wanted: The mean that should come out: float64 [rows].
    """

    regression: Regression
    mean: Float
    wanted: Float

    def bias(self, weight: Float) -> Float:
        """The best bias beside `weight` [rows, size]: float64 [rows]."""
        return np.asarray(self.wanted - (weight * self.mean).sum(axis=1))


def second_moment(seen: Float32) -> Float:
    """``X^T X`` of X [positions, size], summed in float32: float64 [size, size]."""
    # NumPy sees that both are one, and computes half of it.
    return np.asarray(seen.T @ seen, np.float64)
