"""A layer fitted again so that what its Relu lets through moves least on sampled positions.

Half of a Conv's outputs are negative and a Relu makes them zero, whatever they are: errors there
cost nothing (Zhang et al., "Accelerating Very Deep Convolutional Networks for Classification and
Detection", TPAMI 2016, fit the nonlinear response for that reason). So each row has a metric of
its own, in which positions that the Relu blocks count little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.passes._fitting.moments import product
from lprc.passes._fitting.sparse_regression import Regression

Float = NDArray[np.float64]

BLOCKED = 0.05
"""How much a position counts that the Relu blocks: not nothing, so that it stays blocked on other
images too."""


@dataclass(frozen=True)
class Fit:
    """Rows of a layer, and what they should put out.

    Attributes:
        seen: The inputs of the rows, and a last column of ones: float32 [positions, size + 1].
        wanted: The outputs of the unchanged layer, bias included: float32 [positions, rows].
        weight: The unchanged rows: float64 [rows, size].
        relu: Whether only a Relu sees the output.
        damping: How much rows are held to `weight`, as a fraction of the mean of the diagonal.
    """

    seen: NDArray[np.float32]
    wanted: NDArray[np.float32]
    weight: Float
    relu: bool
    damping: float

    def outputs(self, weight: Float, bias: Float) -> NDArray[np.float32]:
        """The outputs of other rows: float32 [positions, rows]."""
        both = np.concatenate([weight, bias[:, None]], axis=1).astype(np.float32)
        return np.asarray(product(np.ascontiguousarray(self.seen.T)[None], both.T[None])[0])

    def problem(self, outputs: NDArray[np.float32] | None = None) -> Solvable:
        """The least squares problem around what the rows put out now; at first, what is wanted."""
        rows, size = self.weight.shape
        target, counts = self.wanted, None
        if self.relu:
            counts = self.wanted > 0
            if outputs is not None:
                # What should be blocked and is not must get down to zero, and no further.
                target = np.where(counts | (outputs <= 0), self.wanted, 0.0).astype(np.float32)
                counts = counts | (outputs > 0)
        shared = self._second(self.seen)
        weighted = target if counts is None else target * np.where(counts, 1.0, BLOCKED)
        cross = product(self.seen[None], weighted.astype(np.float32)[None])[0].astype(np.float64)
        if counts is None:
            return self._centred(shared[None], cross)
        second = np.empty((rows, size + 1, size + 1))
        for row in range(rows):
            active = self._second(self.seen[counts[:, row]])
            second[row] = BLOCKED * shared + (1 - BLOCKED) * active
        return self._centred(second, cross)

    def _second(self, seen: NDArray[np.float32]) -> Float:
        if not len(seen):
            return np.zeros((seen.shape[1], seen.shape[1]))
        return np.asarray(product(seen[None], seen[None])[0], np.float64)

    def _centred(self, second: Float, cross: Float) -> Solvable:
        """Take the bias out: it is whatever the means leave."""
        size = second.shape[1] - 1
        total = second[:, -1, -1]
        mean = second[:, :size, -1] / total[:, None]
        wanted = cross[-1] / total
        moment = second[:, :size, :size] / total[:, None, None]
        moment = moment - mean[:, :, None] * mean[:, None, :]
        product_of = (cross[:size] / total).T - mean * wanted[:, None]
        trace = np.einsum("rkk->r", moment) / size
        ridge = np.where(trace > 0, trace * self.damping, 1.0)
        moment = moment + ridge[:, None, None] * np.eye(size)
        product_of = product_of + ridge[:, None] * self.weight
        if len(moment) == 1:
            target = np.linalg.solve(moment[0], product_of.T).T
            return Solvable(Regression(target, moment[0]), mean, wanted)
        target = np.linalg.solve(moment, product_of[:, :, None])[:, :, 0]
        return Solvable(Regression(target, moment), mean, wanted)

    def error(self, outputs: NDArray[np.float32]) -> float:
        """The squared error behind the Relu, as a fraction of what is wanted there."""
        wanted, found = self.wanted, outputs
        if self.relu:
            wanted, found = np.maximum(wanted, 0), np.maximum(found, 0)
        energy = float(np.square(wanted, dtype=np.float64).sum())
        return float(np.square(wanted - found, dtype=np.float64).sum()) / max(energy, 1e-30)


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


def with_ones(seen: NDArray[Any]) -> NDArray[np.float32]:
    """`seen` [positions, size] with a last column of ones, float32."""
    ones = np.ones((len(seen), 1), np.float32)
    return np.concatenate([seen, ones], axis=1, dtype=np.float32)
