"""Rounding weights to integers so that a layer's output moves least on calibration data.

All methods minimise ``tr(D H D^T)`` with ``D = scale * integers - target``: the squared error of
the layer's output, where `H` is the second moment of what its rows are multiplied with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """Which integers ``scale * integers`` is nearest to `target` in the metric of `moment`.

    Attributes:
        target: float64 [groups, rows, size].
        scale: float64, of the same shape.
        moment: float64 [groups, size, size], symmetric and positive semidefinite.
        limit: Integers are from ``-limit`` to ``limit``.
        kept: Where integers may differ from zero: bool, of the target's shape; None for everywhere.
    """

    target: Float
    scale: Float
    moment: Float
    limit: int
    kept: NDArray[np.bool_] | None = None

    def error(self, integers: NDArray[Any]) -> Float:
        """The squared error of each row's output: float64 [groups, rows]."""
        delta = integers * self.scale - self.target
        return np.asarray(np.einsum("grk,grk->gr", delta @ self.moment, delta))

    def nearest(self, weight: Float) -> Float:
        """The integers nearest to `weight`, each by itself."""
        return self.masked(np.clip(np.rint(weight / self.scale), -self.limit, self.limit))

    def masked(self, integers: NDArray[Any]) -> Float:
        """`integers` with zeros where there must be zeros."""
        return np.asarray(integers if self.kept is None else np.where(self.kept, integers, 0.0))


def corrected_target(weight: Float, second: Float, cross: Float, *, damping: float = 0.01) -> Float:
    """The weight that comes nearest to ``weight @ x`` where the layer sees `x'` instead of `x`.

    ``E|w x - q x'|^2`` is ``(q - t) H (q - t)`` and a constant, with ``H = E[x' x'^T]`` and
    ``t = w E[x x'^T] H^-1``: AdaRound's asymmetric reconstruction, without the
    activation function, as a symmetric problem.

    Args:
        weight: float64 [groups, rows, size].
        second: H, float64 [groups, size, size].
        cross: ``E[x x'^T]``, of the same shape.
        damping: How much `t` is held to `weight`, as a fraction of the mean of H's diagonal.
    """
    ridged = np.stack([moment + _ridge(moment, damping) for moment in second])
    moved = weight @ (cross - second)
    step = np.linalg.solve(ridged, moved.transpose(0, 2, 1))
    return np.asarray(weight + step.transpose(0, 2, 1))


def descend(problem: Problem, integers: Float, *, sweeps: int = 10) -> Float:
    """Coordinate descent: move one integer of each row at a time to where the error is least.

    The error never grows. Stops when a sweep changes nothing.

    Args:
        problem: The problem to solve.
        integers: Where to start: float64 [groups, rows, size].
        sweeps: Passes over all columns at most.
    """
    result: Float = problem.masked(integers).copy()
    for group in range(len(result)):
        _descend(
            problem.moment[group], problem.scale[group], problem.limit, sweeps,
            result[group], problem.target[group],
            None if problem.kept is None else problem.kept[group],
        )  # fmt: skip
    return result


def _descend(
    moment: Float,
    scale: Float,
    limit: int,
    sweeps: int,
    integers: Float,
    target: Float,
    kept: NDArray[np.bool_] | None,
) -> None:
    curvature = np.diag(moment)
    gradient = (integers * scale - target) @ moment
    used = np.flatnonzero(curvature > 0)
    for _ in range(sweeps):
        moved = False
        for column in used:
            best = integers[:, column] - gradient[:, column] / (
                curvature[column] * scale[:, column]
            )
            step = np.clip(np.rint(best), -limit, limit) - integers[:, column]
            if kept is not None:
                step = step * kept[:, column]
            rows = np.flatnonzero(step)
            if rows.size:
                moved = True
                integers[rows, column] += step[rows]
                gradient[rows] += (step[rows] * scale[rows, column])[:, None] * moment[column]
        if not moved:
            return


def gptq(problem: Problem, factors: list[Factor], *, chunk: int = 128) -> Float:
    """Round column by column and let the columns still to come make up for the error.

    Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ: Accurate Post-Training Quantization for
    Generative Pre-trained Transformers", ICLR 2023; columns in the order of falling curvature.

    Args:
        problem: The problem to solve.
        factors: `gptq_factors` of its moment.
        chunk: Columns after which the error is passed on to all that remain.
    """
    return np.stack(
        [
            _gptq(*factor, target, scale, problem.limit, chunk, kept)
            for factor, target, scale, kept in zip(
                factors, problem.target, problem.scale, _everywhere(problem), strict=True
            )
        ]
    )


Factor = tuple[NDArray[np.intp], Float]


def gptq_factors(moment: Float, *, damping: float = 0.01) -> list[Factor]:
    """For each group the order of columns, and the Cholesky factor of the moment's inverse.

    Row i of the factor says how the columns behind i make up for its error.

    Args:
        moment: float64 [groups, size, size].
        damping: Added to the diagonal, as a fraction of its mean.
    """
    factors = []
    for group_moment in moment:
        order = np.argsort(-np.diag(group_moment), kind="stable")
        damped = (group_moment + _ridge(group_moment, damping))[np.ix_(order, order)]
        factors.append((order, np.linalg.cholesky(np.linalg.inv(damped)).T))
    return factors


def _gptq(
    order: NDArray[np.intp],
    upper: Float,
    target: Float,
    scale: Float,
    limit: int,
    chunk: int,
    kept: NDArray[np.bool_],
) -> Float:
    size = len(order)
    wanted, steps, inside = target[:, order], scale[:, order], kept[:, order]
    integers = np.zeros_like(wanted)
    for start in range(0, size, chunk):
        stop = min(start + chunk, size)
        errors = np.zeros((len(wanted), stop - start))
        for column in range(start, stop):
            value, step = wanted[:, column], steps[:, column]
            integers[:, column] = np.clip(np.rint(value / step), -limit, limit) * inside[:, column]
            error = (value - integers[:, column] * step) / upper[column, column]
            wanted[:, column:stop] -= np.outer(error, upper[column, column:stop])
            errors[:, column - start] = error
        wanted[:, stop:] -= errors @ upper[start:stop, stop:]
    result = np.empty_like(integers)
    result[:, order] = integers
    return result


def _everywhere(problem: Problem) -> NDArray[np.bool_]:
    return np.ones(problem.target.shape, bool) if problem.kept is None else problem.kept


def _ridge(moment: Float, damping: float) -> Float:
    mean = float(np.trace(moment)) / len(moment)
    return np.asarray(np.eye(len(moment)) * (mean * damping if mean > 0 else 1.0))


def adaround(
    problem: Problem,
    *,
    iterations: int = 500,
    seed: int = 0,
    strength: float = 500.0,
    rate: float = 0.02,
) -> Float:
    """Learn for each weight whether to round it up or down.

    Nagel, Amjad, van Baalen, Louizos and Blankevoort, "Up or Down? Adaptive Rounding for
    Post-Training Quantization", ICML 2020: integers are ``floor(target / scale) + h(v)`` with the
    rectified sigmoid ``h(v) = clip(1.2 * sigmoid(v) - 0.1, 0, 1)``, and the regulariser
    ``sum(1 - |2 h - 1| ** beta)``, with beta falling from 20 to 2 after a fifth of the
    iterations, drives h to 0 or 1. Adam (Kingma and Ba, ICLR 2015) over all rows at once.

    Args:
        problem: The problem to solve.
        iterations: Steps of Adam.
        seed: Of the noise that breaks ties between weights half way between two integers.
        strength: Of the regulariser; the error of rounding to nearest is 1 a weight.
        rate: Adam's step size.
    """
    generator = np.random.default_rng(seed)
    integers = np.stack(
        [
            _adaround(
                moment, target / scale, scale, problem.limit, iterations, strength, rate, generator
            )
            for moment, target, scale in zip(
                problem.moment, problem.target, problem.scale, strict=True
            )
        ]
    )
    return problem.masked(integers)


_LOW, _HIGH = -0.1, 1.1


def _adaround(
    moment: Float,
    wanted: Float,
    scale: Float,
    limit: int,
    iterations: int,
    strength: float,
    rate: float,
    generator: np.random.Generator,
) -> Float:
    floor = np.clip(np.floor(wanted), -limit, limit - 1)
    rest = np.clip(wanted - floor, 0.01, 0.99) + generator.uniform(-0.005, 0.005, wanted.shape)
    logit = -np.log((_HIGH - _LOW) / (rest - _LOW) - 1)
    # In units of each row's error when rounded to nearest, float32 is wide enough.
    nearest = np.clip(np.rint(wanted), -limit, limit)
    delta = (nearest - wanted) * scale
    unit = np.einsum("rk,rk->r", delta @ moment, delta)
    top = float(unit.max(initial=0.0))
    if top <= 0:
        return np.asarray(nearest)
    unit = np.maximum(unit, top * 1e-6)
    weight = (wanted.shape[1] / unit)[:, None]
    v = logit.astype(np.float32)
    step = scale.astype(np.float32)
    base = ((floor - wanted) * scale).astype(np.float32)
    metric = moment.astype(np.float32)
    gain = (2 * weight * scale).astype(np.float32)
    first, second = np.zeros_like(v), np.zeros_like(v)
    warm = iterations // 5
    for index in range(iterations):
        sigmoid = 1 / (1 + np.exp(-v))
        raw = sigmoid * np.float32(_HIGH - _LOW) + np.float32(_LOW)
        h = np.clip(raw, 0, 1)
        slope = gain * ((base + step * h) @ metric)
        if index >= warm:
            beta = 2 + 9 * (1 + math.cos(math.pi * (index - warm) / max(1, iterations - warm)))
            off = 2 * h - 1
            slope -= np.float32(2 * strength * beta) * np.sign(off) * np.abs(off) ** (beta - 1)
        slope *= ((raw > 0) & (raw < 1)) * sigmoid * (1 - sigmoid) * np.float32(_HIGH - _LOW)
        first += np.float32(0.1) * (slope - first)
        second += np.float32(0.001) * (slope * slope - second)
        correction = math.sqrt(1 - 0.999 ** (index + 1)) / (1 - 0.9 ** (index + 1))
        v -= np.float32(rate * correction) * first / (np.sqrt(second) + np.float32(1e-8))
    # What meets only zeros has no say in the error.
    return np.asarray(np.where(np.diag(moment) > 0, floor + (v > 0), nearest))
