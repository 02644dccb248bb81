"""Colours that mean something differ for every kind of colour vision."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from lprc.compiler.report.scaffold import asset

VISION = {
    "common": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Of linear RGB: Machado, Oliveira and Fernandes (2009), at full severity."""
SETS = (
    ("added-fill", "removed-fill", "changed-fill"),
    ("exact", "approximate", "lossy"),
)
LEAST = 12.0  # CIE 1976; 2.3 is a difference that is just seen


def palette(scheme: str) -> dict[str, str]:
    light, dark = re.findall(
        r":root \{(.*?)\}", asset("lprc.compiler.report", "scaffold.css"), re.S
    )
    return dict(re.findall(r"--([\w-]+): #(\w{6})", light if scheme == "light" else dark))


def seen(colour: str, vision: str) -> np.ndarray:
    """CIE L*a*b* of a colour as such eyes see it."""
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.asarray(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("names", SETS, ids=lambda names: names[0])
def test_colours_with_a_meaning_differ(names, vision, scheme):
    colours = palette(scheme)
    for one, other in combinations(names, 2):
        distance = np.linalg.norm(seen(colours[one], vision) - seen(colours[other], vision))
        assert distance >= LEAST, f"{one} and {other}: {distance:.1f}"
