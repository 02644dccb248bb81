"""Alphabets, labels, images, decoding: right on good data, clear on bad."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from lprc.core.errors import DataError
from lprc.core.files.image_listing import list_images
from lprc.core.tasks.task_file import parse_task
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch, load_image
from lprc.models.labels import read_labelled
from lprc.models.metrics import exact_matches
from lprc.models.plate_config import PlateConfig

TEXT = """
alphabet = "ABC1京"
width = 6
height = 4
channels = "BGR"
mean = 127.5
scale = 0.0078125
"""
CONFIG = PlateConfig.of(parse_task(TEXT, name="test", where="test.toml"), "test.toml")


def test_config():
    assert (CONFIG.num_classes, CONFIG.blank) == (6, 5)
    assert PlateConfig.named("lprnet").num_classes == 68
    assert PlateConfig.named("synthetic").num_classes == 34


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 6", "", "key 'width' is missing"),
        ("width = 6", "width = 6\ndepth = 3", "unknown key 'depth'"),
        ("width = 6", "width = 0", "width: must be at least 1"),
        ("width = 6", "width = true", "width: must be a whole number"),
        ('"ABC1京"', '"ABCA"', "alphabet: 'A' stands in it twice"),
        ('"ABC1京"', '["A", "BC"]', r"alphabet\.1: must be one character"),
        ('"BGR"', '"GRB"', "color: must be 'BGR', 'RGB' or 'GRAY'"),
        ('"ABC1京"', "3", "alphabet: must be a list"),
        ('"ABC1京"', '""', "alphabet: must not be empty"),
        ("mean = 127.5", "mean = 'x'", "mean.0: must be a number"),
        ("mean = 127.5", "mean = inf", "mean.0: must be a finite"),
        ("mean = 127.5", "mean = ", "not TOML"),
    ],
)
def test_config_errors(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        PlateConfig.named(str(path))
    assert "mine.toml" in str(caught.value)


def test_unknown_config():
    with pytest.raises(DataError, match="unknown task 'klingon'"):
        PlateConfig.named("klingon")


@pytest.fixture
def folder(tmp_path):
    for name in ("京A1.png", "A1-2.png", "BB_x.png"):
        Image.new("RGB", (6, 4), (255, 127, 0)).save(tmp_path / name)
    return tmp_path


def test_labels_in_names(folder):
    labels = {item.path.name: item.label for item in read_labelled(folder, CONFIG)}
    assert labels == {"京A1.png": "京A1", "A1-2.png": "A1", "BB_x.png": "BB"}


def test_labels_in_a_table_win(folder):
    (folder / "labels.csv").write_text("file,label\nBB_x.png,ABC\n", encoding="utf-8")
    assert [(item.path.name, item.label) for item in read_labelled(folder, CONFIG)] == [
        ("BB_x.png", "ABC")
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,label\nBB_x.png,A\n", "its columns must be 'file' and 'label'"),
        ("file,label\nnone.png,A\n", r"labels.csv:2: no such file 'none.png'"),
        ("file,label\n../BB_x.png,A\n", "is not in the folder"),
        ("file,label\nBB_x.png\n", "must have two cells"),
        ("file,label\nBB_x.png,AZ\n", "has 'Z', which is not in the alphabet"),
        ("file,label\nBB_x.png,\n", "its label is empty"),
        ("file,label\n", "no labels in it"),
    ],
)
def test_bad_tables(folder, table, message):
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_labelled(folder, CONFIG)


def test_no_images(tmp_path):
    with pytest.raises(DataError, match="no images in it"):
        list_images(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        list_images(tmp_path / "none")


def test_preprocessing(folder):
    image = load_image(folder / "BB_x.png", CONFIG)
    assert (image.shape, image.dtype) == ((3, 4, 6), np.float32)
    blue, green, red = image[:, 0, 0]
    assert (red, blue) == ((255 - 127.5) * 0.0078125, -127.5 * 0.0078125)
    assert green == pytest.approx(-0.5 * 0.0078125)
    assert load_batch(list_images(folder), CONFIG).shape == (3, 3, 4, 6)


def test_another_size_is_resized(tmp_path):
    Image.new("L", (30, 20), 200).save(tmp_path / "A.png")
    image = load_image(tmp_path / "A.png", CONFIG)
    assert image.shape == (3, 4, 6)
    np.testing.assert_allclose(image, (200 - 127.5) * 0.0078125)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(30), b"GIF89a"])
def test_unreadable_image(tmp_path, content):
    (tmp_path / "A.png").write_bytes(content)
    with pytest.raises(DataError, match=r"A\.png: can't be read"):
        load_image(tmp_path / "A.png", CONFIG)


def test_truncated_image(tmp_path):
    path = tmp_path / "A.png"
    Image.effect_noise((60, 40), 50).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="can't be read"):
        load_image(path, CONFIG)


def test_decompression_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("1", (30, 30)).save(tmp_path / "A.png")
    with pytest.raises(DataError, match="can't be read"):
        load_image(tmp_path / "A.png", CONFIG)


def slow_decode(logits):
    """One sample, step by step, as a textbook has it."""
    text, last = "", None
    for step in range(logits.shape[1]):
        best = max(range(logits.shape[0]), key=lambda label: logits[label, step])
        if best not in (last, CONFIG.blank):
            text += CONFIG.alphabet[best]
        last = best
    return text


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 3), st.just(6), st.integers(1, 9)),
        elements=st.integers(0, 4).map(float),
    )
)
def test_decode_is_the_textbook_one(logits):
    assert greedy_decode(logits, CONFIG) == [slow_decode(sample) for sample in logits]


def test_decode_refuses_another_number_of_classes():
    with pytest.raises(DataError, match=r"is \[1, 7, 3\], not \[N, 6, steps\]"):
        greedy_decode(np.zeros((1, 7, 3), np.float32), CONFIG)


def test_exact_matches():
    assert exact_matches(["A1", "B"], ["A1", "C"]) == 1
    with pytest.raises(ValueError, match="shorter"):
        exact_matches(["A"], [])
