"""Odd files in a folder of plates: tables from spreadsheets, links, folders, deep images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lprc.core.errors import DataError
from lprc.core.files.image_listing import list_images
from lprc.core.tasks.task_file import parse_task
from lprc.models.images import load_image
from lprc.models.labels import read_labelled
from lprc.models.plate_config import PlateConfig

LPRNET = PlateConfig.named("lprnet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (94, 24)).save(tmp_path / "A1.png")
    return tmp_path


def test_the_real_alphabet_is_the_checkpoints():
    text = "".join(LPRNET.alphabet)
    assert (len(text), LPRNET.blank) == (67, 67)
    assert (text.index("京"), text.index("新"), text.index("0"), text.index("A")) == (0, 30, 31, 41)
    assert text[41:] == "ABCDEFGHJKLMNPQRSTUVWXYZIO"


def test_a_scale_of_nothing_is_refused():
    text = 'alphabet = "A"\nwidth = 6\nheight = 4\nchannels = "RGB"\nmean = 0\nscale = 0.0\n'
    with pytest.raises(DataError, match=r"x\.toml: input\.scale: must not be 0"):
        parse_task(text, name="x", where="x.toml")


def test_a_table_with_a_byte_order_mark(folder):
    (folder / "labels.csv").write_text("file,label\nA1.png,B2\n", encoding="utf-8-sig")
    assert [item.label for item in read_labelled(folder, LPRNET)] == ["B2"]


def test_one_file_named_twice(folder):
    (folder / "labels.csv").write_text("file,label\nA1.png,B2\nA1.png,C3\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"labels\.csv: 'A1\.png' is named twice"):
        read_labelled(folder, LPRNET)


def test_a_folder_is_not_an_image(folder):
    (folder / "B2.png").mkdir()
    assert [path.name for path in list_images(folder)] == ["A1.png"]


def test_a_link_to_nothing_is_not_left_out(folder):
    (folder / "B2.png").symlink_to(folder / "gone.png")
    assert [path.name for path in list_images(folder)] == ["A1.png", "B2.png"]
    with pytest.raises(DataError, match=r"B2\.png: can't be read"):
        load_image(folder / "B2.png", LPRNET)


def test_a_folder_that_can_not_be_read(folder, monkeypatch):
    def refuse(_: Path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match="can't be read: Permission denied"):
        list_images(folder)


@pytest.mark.parametrize(("mode", "value"), [("I;16", 40_000), ("I", 40_000), ("F", 0.5)])
def test_deep_images_are_not_cut_off_at_255(tmp_path, mode, value):
    path = tmp_path / "A1.tiff"
    Image.new(mode, (94, 24), value).save(path)
    with pytest.raises(DataError, match=r"A1\.tiff: can't be read: more than 8 bits a channel"):
        load_image(path, LPRNET)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_the_usual_modes_are_read(tmp_path, mode):
    Image.new(mode, (94, 24)).save(tmp_path / "A1.png")
    assert load_image(tmp_path / "A1.png", LPRNET).shape == (3, 24, 94)


def test_channel_orders_mirror_each_other(tmp_path):
    Image.new("RGB", (94, 24), (200, 100, 50)).save(tmp_path / "A1.png")
    bgr = load_image(tmp_path / "A1.png", LPRNET)
    rgb = load_image(tmp_path / "A1.png", replace(LPRNET, channels="RGB"))
    np.testing.assert_array_equal(bgr, rgb[::-1])
    assert bgr[0, 0, 0] == np.float32((50 - 127.5) * 0.0078125)
