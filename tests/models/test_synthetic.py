"""Synthetic plates: the same seed draws the same plates, and labels say what is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lprc.core.errors import MissingDependencyError
from lprc.models import synthetic_fonts
from lprc.models.plate_config import PlateConfig
from lprc.models.synthetic import generate, synthetic_plate
from lprc.models.synthetic_fonts import FONT_FILES, find_font
from lprc.models.synthetic_layouts import DIGITS, LETTERS, PATTERNS, label_of, sample_text


def test_same_seed_draws_the_same_plates(config: PlateConfig, fonts: None) -> None:
    first, second = list(generate(20, 5, config)), list(generate(20, 5, config))
    assert [label for _, label in first] == [label for _, label in second]
    assert all(a.tobytes() == b.tobytes() for (a, _), (b, _) in zip(first, second, strict=True))


def test_a_longer_run_begins_with_the_shorter(config: PlateConfig, fonts: None) -> None:
    short, long = list(generate(3, 5, config)), list(islice(generate(100, 5, config), 3))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(short, long, strict=True))


def test_other_seeds_draw_other_plates(config: PlateConfig, fonts: None) -> None:
    labels = {label for seed in range(10) for _, label in generate(10, seed, config)}
    assert len(labels) == 100


def test_image_has_the_configured_size_and_channel_order(config: PlateConfig, fonts: None) -> None:
    plates = [synthetic_plate(index, 3, config) for index in range(50)]
    assert {(plate.image.shape, plate.image.dtype) for plate in plates} == {
        ((config.height, config.width, 3), np.dtype(np.uint8))
    }
    mirrored = [synthetic_plate(index, 3, replace(config, channels="RGB")) for index in range(50)]
    assert config.channels == "BGR"
    for bgr, rgb in zip(plates, mirrored, strict=True):
        assert np.array_equal(bgr.image, rgb.image[..., ::-1])
    # Yellow plates are red and green without blue.
    assert any(
        int(plate.image[..., 2].mean()) > plate.image[..., 0].mean() + 60 for plate in plates
    )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_fits_the_time_steps(pattern: str) -> None:
    assert set(pattern) <= set("LD- ")
    assert 5 <= len(label_of(pattern)) <= 8


def test_labels_leave_out_separators_and_gaps() -> None:
    rng = np.random.default_rng(0)
    texts = [sample_text(rng) for _ in range(300)]
    labels = [label_of(text) for text in texts]
    assert any("-" in text for text in texts)
    assert any(" " in text for text in texts)
    assert set("".join(labels)) == set(LETTERS + DIGITS)
    assert label_of("ABC-12 3") == "ABC123"


def test_labels_round_trip_through_the_alphabet(config: PlateConfig, fonts: None) -> None:
    for _, label in generate(50, 9, config):
        classes = [config.alphabet.index(character) for character in label]
        assert "".join(config.alphabet[c] for c in classes) == label
        assert max(classes) < config.blank


def test_centres_run_from_left_to_right_one_time_step_apart(
    config: PlateConfig, fonts: None
) -> None:
    for index in range(200):
        plate = synthetic_plate(index, 11, config)
        assert len(plate.centres) == len(plate.label)
        assert (np.diff(plate.centres) > config.width / 18 * 0.9).all()
        assert plate.centres[0] > -2
        assert plate.centres[-1] < config.width + 2


def test_a_missing_font_names_the_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_cache: None
) -> None:
    monkeypatch.setattr(synthetic_fonts, "font_folders", lambda: (tmp_path,))
    with pytest.raises(MissingDependencyError, match=r"apt-get install .*fonts-liberation"):
        find_font(FONT_FILES[0])


def test_fonts_are_found_below_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_cache: None
) -> None:
    font = tmp_path / "deep" / FONT_FILES[0]
    font.parent.mkdir()
    font.touch()
    monkeypatch.setattr(synthetic_fonts, "font_folders", lambda: (tmp_path / "absent", tmp_path))
    assert find_font(FONT_FILES[0]) == font


@pytest.fixture(scope="module")
def config() -> PlateConfig:
    return PlateConfig.named("synthetic")


@pytest.fixture(scope="module")
def fonts() -> None:
    try:
        for file_name in FONT_FILES:
            find_font(file_name)
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.fixture
def no_cache() -> Iterator[None]:
    find_font.cache_clear()
    yield
    find_font.cache_clear()
