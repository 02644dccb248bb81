"""How far rounding moves a graph's outputs, measured by moving its inputs as rounding would.

The method is that of stochastic arithmetic (J. Vignes, "A stochastic arithmetic for reliable
scientific computation", Mathematics and Computers in Simulation 35, 1993), with one kind of
perturbation: the inputs' last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.core.running.input_families import is_float
from lprc.core.running.numerics import Arrays, OutputDelta, RunError, compare
from lprc.core.running.runner import Runs

_DIGITS = 8
"""Units of the last place by which an input is moved."""

_RUNS = 4
"""Runs with other signs of the moves: in one, two effects may cancel."""

_STEPS = 4.0
"""How many of an output's own steps rounding may be off."""

_MARGIN = 3.0
"""How many times the effect of that on an output rewriting a graph may have."""


def moved_beyond(
    before: Arrays,
    after: Arrays,
    tolerance: float,
    *,
    reference: Callable[[], Runs],
    inputs: Arrays,
    rounding: float,
) -> list[OutputDelta]:
    """The outputs that moved by more than `tolerance`, or one of whose channels did, and why.

    What rounding does to them is measured only where they did, which is seldom.

    Args:
        before: The reference's outputs by name.
        after: What is judged.
        tolerance: As of `OutputDelta.within`.
        reference: Opens the graph that gave `before`.
        inputs: What both were run on.
        rounding: The relative difference of one operation, `lprc.core.running.numerics.rounding`.
    """
    if all(d.within(tolerance) for d in compare(before, after, dict.fromkeys(before, _NONE))):
        return []
    measured = noise(reference(), inputs, before, rounding)
    return [d for d in compare(before, after, measured) if not d.within(tolerance)]


_NONE = np.zeros(())


def beyond_rounding(
    runs: Iterable[tuple[Arrays, Arrays, Arrays]],
    tolerance: float,
    reference: Runs,
    rounding: float,
) -> list[OutputDelta]:
    """The outputs of several runs that `moved_beyond` finds.

    Args:
        runs: Inputs, the reference's outputs and those that are judged.
        tolerance: As of `OutputDelta.within`.
        reference: The graph that gave the former.
        rounding: As of `moved_beyond`.
    """
    return [
        delta
        for inputs, before, after in runs
        for delta in moved_beyond(
            before, after, tolerance, reference=lambda: reference, inputs=inputs, rounding=rounding
        )
    ]


def amplified(deltas: Sequence[OutputDelta], what: str) -> str:
    """A warning that `what` moved outputs far, and that rounding moves them as far."""
    told = "; ".join(map(str, deltas[:3]))
    return (
        f"{what}: {told}: no farther than rounding moves them in this network, "
        "which amplifies it on these inputs"
    )


def noise(
    session: Runs, inputs: Arrays, outputs: Arrays, rounding: float
) -> dict[str, NDArray[np.float64]]:
    """The absolute difference that rounding may make of each element of the float outputs.

    Args:
        session: The reference.
        inputs: What it was run on.
        outputs: What came out.
        rounding: The relative difference of one operation, `lprc.core.running.numerics.rounding`.

    Returns:
        float64 of each output's shape; outputs whose shape moves with the inputs are left out, and
        all are where no input is a float or the graph does not run on the moved ones.
    """
    total: dict[str, NDArray[np.float64]] = {}
    for seed in range(_RUNS):
        moved, unit = _moved(inputs, seed)
        if not moved:
            return {}
        try:
            again = session.run({**inputs, **moved})
        except RunError:
            return {}
        scale = _MARGIN * max(1.0, rounding / unit)
        for name, array in outputs.items():
            if is_float(array) and array.shape == again[name].shape:
                difference = _difference(array, again[name]) * scale
                # ONNX Runtime's Sigmoid near zero has steps of 2⁻²⁴, whatever its value.
                difference += _STEPS * _resolution(array)
                total[name] = np.maximum(total.get(name, difference), difference)
    return total


def _resolution(array: NDArray[Any]) -> float:
    """The largest power of two that all values are multiples of; no more than float32's at 2."""
    finest = np.abs(array[np.isfinite(array)].astype(np.float64))
    exponent = -22
    while exponent > -40 and np.any(np.ldexp(finest, -exponent) % 1):
        exponent -= 1
    return 2.0**exponent if exponent > -40 else 0.0


def _moved(inputs: Arrays, seed: int) -> tuple[dict[str, NDArray[Any]], float]:
    """The float inputs with their last digits changed, and by how much, relatively."""
    floats = {name: array for name, array in inputs.items() if is_float(array)}
    if not floats:
        return {}, 0.0
    unit = _DIGITS * max(float(np.finfo(array.dtype).eps) for array in floats.values())
    generator = np.random.default_rng(seed)
    moved = {}
    for name, array in floats.items():
        signs = generator.integers(0, 2, array.shape) * 2 - 1
        moved[name] = (array * (1 + unit * signs)).astype(array.dtype)
    return moved, unit


def _difference(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    finite = np.isfinite(first) & np.isfinite(second)
    difference = np.zeros(first.shape)
    difference[finite] = np.abs(first[finite].astype(np.float64) - second[finite])
    return difference
