"""Image files as cameras, pages and broken disks leave them: pixels, or one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lprc.core.errors import DataError
from lprc.core.tasks.image_files import image_size, parse_image, read_image

ORIENTATION = 0x0112


def wide() -> Image.Image:
    """40 x 20 pixels, red on the left and blue on the right."""
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    image.paste((0, 0, 255), (20, 0, 40, 20))
    return image


@pytest.mark.parametrize(
    ("orientation", "size", "upper_left"),
    [
        (1, (40, 20), (255, 0, 0)),
        (3, (40, 20), (0, 0, 255)),
        (6, (20, 40), (255, 0, 0)),
        (8, (20, 40), (0, 0, 255)),
    ],
)
def test_a_photograph_stands_upright(tmp_path: Path, orientation: int, size, upper_left):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "phone.png"
    wide().save(path, exif=exif)
    image = read_image(path)
    assert image.size == image_size(path) == size
    assert image.getpixel((2, 2)) == upper_left


def test_inks_become_colours(tmp_path: Path):
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path)
    red, green, blue = read_image(path).getpixel((8, 8))
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str):
    path = tmp_path / "logo.png"
    layer = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    layer.paste((0, 0, 0, 255), (4, 0, 8, 8))
    layer.convert(mode).save(path)
    image = read_image(path)
    assert image.mode == "RGB"
    assert (image.getpixel((1, 1)), image.getpixel((6, 1))) == ((255, 255, 255), (0, 0, 0))


def test_bytes_are_read_as_a_file_is(tmp_path: Path):
    path = tmp_path / "a.png"
    wide().save(path)
    assert np.array_equal(parse_image(path.read_bytes(), "stdin"), read_image(path))


def test_a_photograph_with_its_preview_is_one_picture(tmp_path: Path):
    path = tmp_path / "phone.jpg"
    wide().save(path, format="MPO", save_all=True, append_images=[wide()])
    assert read_image(path).size == (40, 20)


def bomb(path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(path)


def sixteen_bits(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)


def animated(path: Path) -> None:
    wide().save(path, save_all=True, append_images=[wide().rotate(180)])


def cut_off(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.touch, "it is empty"),
        (lambda path: path.write_bytes(b"plate\n"), "not an image"),
        (bomb, "200000000 pixels"),
        (sixteen_bits, "more than 8 bits a channel"),
        (animated, "it holds 2 pictures"),
        (cut_off, "truncated"),
        (Path.mkdir, "a folder"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_is_no_picture_says_why(tmp_path: Path, make, message: str):
    path = tmp_path / "a.png"
    make(path)
    with pytest.raises(DataError, match=message) as raised:
        read_image(path)
    assert raised.value.where == str(path)
