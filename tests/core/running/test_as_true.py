"""An artefact of a coarsely quantised graph is judged by float, and by the graph beside it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lprc.core.running.as_true import farther_from_float
from lprc.core.running.numerics import compare

FLOAT = np.random.default_rng(0).standard_normal((1, 4000))
NOISES = np.random.default_rng(1).standard_normal((2, 1, 4000))


def at(decibels, noise, of=FLOAT):
    """`of` with noise of that ratio."""
    scale = np.linalg.norm(of) / np.linalg.norm(noise) * 10 ** (-decibels / 20)
    return of + scale * noise


def refuses(lowered, artefact):
    before, after = {"y": lowered}, {"y": artefact}
    source = SimpleNamespace(run=lambda sample: {"y": FLOAT})
    return bool(farther_from_float(compare(before, after), [(before, after)], [{}], lambda: source))


@pytest.mark.parametrize("decibels", [4.0, 8.5, 12.0])
def test_rounding_elsewhere_passes(decibels):
    lowered = at(decibels, NOISES[0])
    # Most of the noise is of the quantised weights, which both have.
    artefact = at(decibels, 0.9 * NOISES[0] + 0.4 * NOISES[1])
    assert not refuses(lowered, artefact)


@pytest.mark.parametrize(
    ("decibels", "artefact"),
    [
        (8.5, np.zeros_like(FLOAT)),
        (4.0, FLOAT * 0.4),
        (8.5, at(6.0, NOISES[0])),
        (8.5, at(8.5, -NOISES[0])),
        (2.0, at(2.0, 0.9 * NOISES[0] + 0.4 * NOISES[1])),
    ],
    ids=["nothing", "a fraction", "more noise", "other noise", "coarser than can be judged"],
)
def test_what_is_only_as_far_off_does_not(decibels, artefact):
    assert refuses(at(decibels, NOISES[0]), artefact)
