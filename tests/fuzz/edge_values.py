"""Arrays with the values at which arithmetic is not what it is elsewhere."""

from __future__ import annotations

import numpy as np

FAMILIES = ("normal", "edges", "non-negative", "tiny", "large", "finite edges", "special")
"""What the numbers of an input are like."""


def array(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...], family: str):
    """An array of `dtype` and `shape` of one of `FAMILIES`."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return _integers(rng, dtype, shape, family)
    return _floats(rng, dtype, shape, family)


def _integers(rng, dtype, shape, family):
    low = -4 if dtype.kind == "i" else 0
    numbers = rng.integers(low, 5, shape).astype(dtype)
    if family in ("edges", "finite edges", "large", "special"):
        limits = np.iinfo(dtype)
        edges = np.array([limits.min, limits.max, limits.max - 1, limits.min + 1], dtype)
        numbers = np.where(rng.random(shape) < 0.5, rng.choice(edges, shape), numbers)
    return np.asarray(numbers, dtype)


def _floats(rng, dtype, shape, family):
    limits = np.finfo(dtype)
    numbers = rng.standard_normal(shape)
    if family == "non-negative":
        numbers = np.abs(numbers)
    elif family == "tiny":
        numbers = numbers * float(limits.tiny) ** 0.5
    elif family == "large":
        numbers = numbers * (300.0 if dtype.itemsize == 2 else 1e10)
    elif family in ("edges", "finite edges", "special"):
        edges = [0.0, -0.0, 1.0, -1.0, limits.tiny, -limits.tiny, limits.smallest_subnormal, 0.5]
        if family == "special":
            edges = [0.0, -0.0, np.inf, -np.inf, np.nan]
        elif family == "edges":
            edges += [limits.max, limits.min, np.inf, -np.inf, np.nan]
        chosen = rng.choice(np.array(edges, np.float64), shape)
        numbers = np.where(rng.random(shape) < 0.7, chosen, numbers)
    return np.asarray(numbers, np.float64).astype(dtype)


def scalar(rng: np.random.Generator, dtype: np.dtype):
    """One number that a rule about neutral elements or bounds may stumble over."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.array(bool(rng.integers(2)))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        numbers = [0, 0, 1, 1, 2, 3, 6, limits.min, limits.max, limits.max // 2, limits.max - 1]
        if dtype.kind == "i":
            numbers.append(-1)
        if dtype.itemsize == 8:
            numbers += [2**53 + 1, 2**62 + 1]
        return np.array(int(rng.choice(np.array(numbers, object))), dtype)
    limits = np.finfo(dtype)
    numbers = [0, 0, 0, -0.0, -0.0, 1, 1, 1, -1, 2, 2, 0.5, 6, -3, 1e-3, 1e3]
    numbers += [limits.max, limits.min, limits.tiny, limits.smallest_subnormal]
    numbers += [np.inf, -np.inf, np.nan, float(limits.max) ** 0.5, float(limits.tiny) ** 0.5]
    return np.array(float(rng.choice(np.array(numbers, np.float64)))).astype(dtype)


def weight(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]):
    """A weight: mostly plain, sometimes with rows of very different scale, or zero."""
    dtype = np.dtype(dtype)
    numbers = rng.standard_normal(shape)
    if not shape:
        return np.asarray(numbers, np.float64).astype(dtype)
    kind = rng.choice(["plain", "plain", "rows", "zeros", "extreme", "sparse"])
    column = (shape[0], *[1] * (len(shape) - 1))
    if kind == "rows":
        reach = 2 if dtype.itemsize == 2 else 15
        numbers = numbers * 10.0 ** rng.uniform(-reach, reach, column)
    elif kind == "zeros":
        numbers = numbers * (rng.random(column) < 0.5)
    elif kind == "sparse":
        numbers = numbers * (rng.random(shape) < 0.5)
    elif kind == "extreme":
        reach = 4 if dtype.itemsize == 2 else 30
        numbers = numbers * 10.0 ** rng.uniform(-reach, reach)
    return np.asarray(numbers, np.float64).astype(dtype)
