"""European plates: drawn by seed, labelled with what is drawn, in few or many processes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lprc.core.errors import MissingDependencyError
from lprc.models.european import FONTS, PATTERNS, european_plate
from lprc.models.plate_config import PlateConfig
from lprc.models.plate_set import LONGEST_LABEL, TIME_STEPS, render_in_processes, render_plates
from lprc.models.synthetic_fonts import find_font


@pytest.fixture(scope="module")
def config() -> PlateConfig:
    return PlateConfig.named("european")


@pytest.fixture(scope="module")
def fonts() -> None:
    try:
        for file_name in FONTS:
            find_font(file_name)
    except MissingDependencyError as error:
        pytest.skip(str(error))


def test_the_alphabet_has_every_letter_and_digit(config):
    assert "".join(config.alphabet) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_patterns_are_as_long_as_a_label_may_be():
    lengths = {len(re.sub(r"[ -]", "", pattern)) for pattern in PATTERNS}
    assert max(lengths) <= LONGEST_LABEL
    # CTC needs a blank between equal neighbours.
    assert 2 * max(lengths) - 1 <= TIME_STEPS


def test_same_seed_draws_the_same_plates(config, fonts):
    first, again = ([european_plate(i, 5, config) for i in range(20)] for _ in range(2))
    assert [plate.label for plate in first] == [plate.label for plate in again]
    assert all(
        np.array_equal(one.image, other.image) for one, other in zip(first, again, strict=True)
    )
    assert first[0].image.shape == (24, 94, 3)


def test_characters_stand_in_reading_order_within_the_picture(config, fonts):
    plates = [european_plate(i, 6, config) for i in range(300)]
    assert all(len(plate.centres) == len(plate.label) for plate in plates)
    assert all((np.diff(plate.centres) > 0).all() for plate in plates)
    centres = np.concatenate([plate.centres for plate in plates])
    assert (centres > -2).all()
    assert (centres < config.width + 2).all()
    assert {character for plate in plates for character in plate.label} >= {"I", "O", "Q"}


def test_processes_draw_what_one_draws(config, fonts):
    alone = render_plates(30, 3, config, draw=european_plate)
    shared = render_in_processes(30, 3, config, workers=2, draw=european_plate)
    assert alone.labels == shared.labels
    for name in ("images", "targets", "lengths", "frames"):
        assert np.array_equal(getattr(alone, name), getattr(shared, name))
