"""The parts of examples/cpp_openvino that need no OpenVINO: pictures, JSON, deployment.json."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.task_file import parse_task

EXAMPLE = Path(__file__).parents[2] / "examples" / "cpp_openvino"
PLATES = Path(__file__).parents[2] / "models" / "synthetic_plates" / "test"

if int(PIL.__version__.split(".")[0]) < 13:
    pytest.skip("the order of Pillow 13's two passes is the example's", allow_module_level=True)

WRAPPER = """
#include "deployment.hpp"
#include "json.hpp"
#include "picture.hpp"
#include <cstring>
#include <exception>
#include <string>

static std::string failure;
template <typename Work> static int guarded(Work work) {
  try {
    return work();
  } catch (const std::exception& error) {
    failure = error.what();
    return -1;
  }
}
extern "C" const char* why() { return failure.c_str(); }

// The bytes of a file's picture in another size.
extern "C" int picture(const char* path, int width, int height, int is_grey, unsigned char* out) {
  return guarded([&] {
    Picture loaded = load_picture(path);
    if (is_grey) loaded = grey(loaded);
    const Picture whole = resized(loaded, width ? width : loaded.width,
                                  height ? height : loaded.height);
    std::memcpy(out, whole.pixels.data(), whole.pixels.size());
    return static_cast<int>(whole.pixels.size());
  });
}

// The input for a file, as deployment.json says.
extern "C" int input(const char* json, const char* path, float* out) {
  return guarded([&] {
    const Deployment given = Deployment::parse(json);
    const auto values = given.floats(given.fitted(load_picture(path)));
    std::memcpy(out, values.data(), values.size() * sizeof(float));
    return static_cast<int>(values.size());
  });
}

extern "C" int text(const char* json, const float* logits, int classes, int steps, char* out) {
  return guarded([&] {
    const std::string read = Deployment::parse(json).read(logits, classes, steps);
    std::strcpy(out, read.c_str());
    return static_cast<int>(read.size());
  });
}

extern "C" int texts_in(const char* json, char* out) {
  return guarded([&] {
    std::string joined;
    const Json document = Json::parse(json);
    for (const Json& item : document.list()) joined += item.text() + "|";
    std::strcpy(out, joined.c_str());
    return static_cast<int>(joined.size());
  });
}
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("no g++ on PATH")
    folder = tmp_path_factory.mktemp("example")
    (folder / "wrapper.cpp").write_text(WRAPPER)
    (folder / "jpeg.cpp").write_text("#include <cstdio>\n#include <jpeglib.h>\n")
    options = ["-std=c++17", "-shared", "-fPIC", "-O1", "-ffp-contract=off", "-Wall", "-Wextra"]
    probe = subprocess.run(
        ["g++", "-c", folder / "jpeg.cpp", "-o", folder / "jpeg.o"],
        capture_output=True,
        check=False,
    )
    jpeg = ["-DWITH_JPEG", "-ljpeg"] if probe.returncode == 0 else []
    sources = [EXAMPLE / f"{name}.cpp" for name in ("deployment", "json", "picture")]
    library = folder / "example.so"
    command = ["g++", *options, "-Werror", f"-I{EXAMPLE}", folder / "wrapper.cpp", *sources]
    done = subprocess.run(
        [*command, *jpeg, "-o", library], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))
    loaded.why.restype = ctypes.c_char_p
    loaded.has_jpeg = bool(jpeg)
    return loaded


def _picture(example, path, size=(0, 0), grey=False):
    room = np.zeros(3_000_000, np.uint8)
    place = room.ctypes.data_as(ctypes.c_void_p)
    count = example.picture(str(path).encode(), *size, int(grey), place)
    if count < 0:
        raise ValueError(example.why().decode())
    return room[:count]


def _random(path, size, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("size", [(94, 24), (47, 24), (94, 7), (1, 1), (200, 90), (93, 25)])
@pytest.mark.parametrize("source", [(94, 24), (331, 117), (3, 2), (37, 131)])
def test_pictures_are_resized_as_pillow_does(example, size, source, tmp_path):
    path = _random(tmp_path / "a.ppm", source)
    expected = Image.open(path).resize(size, Image.Resampling.BILINEAR)
    assert (_picture(example, path, size) == np.asarray(expected).reshape(-1)).all()
    grey = Image.open(path).convert("L").resize(size, Image.Resampling.BILINEAR)
    assert (_picture(example, path, size, grey=True) == np.asarray(grey).reshape(-1)).all()


def test_jpegs_are_pillow_s(example):
    if not example.has_jpeg:
        pytest.skip("no jpeglib.h (Debian: libjpeg-dev)")
    for path in sorted(PLATES.glob("*.jpg"))[:50]:
        expected = np.asarray(Image.open(path).convert("RGB")).reshape(-1)
        assert (_picture(example, path) == expected).all()


def test_pictures_that_can_not_be_read(example, tmp_path):
    path = _random(tmp_path / "a.ppm", (94, 24))
    whole = path.read_bytes()
    broken = {
        "a binary PPM": b"P5" + whole[2:],
        "ends too early": whole[:-1],
        "8 bits a channel": whole.replace(b"255", b"511", 1),
        "100 million pixels are the most": whole.replace(b"94 24", b"99999 99999", 1),
        "is empty": b"",
    }
    if example.has_jpeg:
        jpeg = (PLATES / "000.jpg").read_bytes()
        broken[f"{tmp_path}"] = jpeg[: len(jpeg) // 2]
    for message, data in broken.items():
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message.replace("\\", "\\\\")):
            _picture(example, path)
    path.write_bytes(whole.replace(b"P6\n", b"P6\n# a comment\n#\n", 1))
    assert len(_picture(example, path)) == 94 * 24 * 3
    with pytest.raises(ValueError, match="can't be read"):
        _picture(example, tmp_path / "none.ppm")


def _deployment(input_keys, alphabet='"0A京"'):
    text = f'task = "plates"\n[input]\nwidth = 50\nheight = 20\n{input_keys}\n[output]\nalphabet = {alphabet}'
    task = parse_task(text, name="given", where="given.toml")
    settings = task.settings.model_dump(exclude_none=True)
    document = {
        "schema": 1,
        "task": "plates",
        "inputs": [{"name": "image", "dtype": "float32", "shape": [-1, 3, 20, 50]}],
        "image": settings["input"],
        "output": settings["output"],
    }
    return task, json.dumps(document)


@pytest.mark.parametrize(
    "keys",
    [
        'color = "BGR"\nmean = 127.5\nscale = 0.0078125',
        'color = "RGB"\nmean = [123.675, 116.28, 103.53]\nscale = [0.017125, 0.017507, 0.017429]',
        'color = "RGB"\nlayout = "NHWC"\nscale = 0.00392157',
        'color = "GRAY"\nmean = 3',
        'color = "BGR"\nresize = "letterbox"\nborder = 9',
        'color = "GRAY"\nresize = "letterbox-corner"\nborder = 200',
    ],
)
@pytest.mark.parametrize("size", [(131, 37), (37, 131), (50, 20), (5, 2), (101, 40)])
def test_inputs_are_the_task_s(example, keys, size, tmp_path):
    task, document = _deployment(keys)
    path = _random(tmp_path / "a.ppm", size)
    room = np.zeros(100_000, np.float32)
    count = example.input(
        document.encode(), str(path).encode(), room.ctypes.data_as(ctypes.c_void_p)
    )
    assert count > 0, example.why()
    expected = task.input.array(read_image(path, "L" if "GRAY" in keys else "RGB"))
    assert (room[:count] == expected.reshape(-1)).all()


def test_texts_are_the_task_s(example):
    task, document = _deployment('color = "BGR"')
    rng = np.random.default_rng(1)
    room = ctypes.create_string_buffer(256)
    for _ in range(100):
        logits = rng.normal(size=(1, 4, 9)).astype(np.float32).round(1)
        place = logits.ctypes.data_as(ctypes.c_void_p)
        assert example.text(document.encode(), place, 4, 9, room) >= 0, example.why()
        assert [room.value.decode()] == task.answers({"out": logits}, [None])
    assert example.text(document.encode(), place, 3, 9, room) == -1
    assert b"3 classes, and deployment.json 3 characters" in example.why()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"schema": 1', '"schema": 2', "another schema than 1"),
        ('"plates"', '"tensors"', "no plate reader and no detector"),
        ('"stretch"', '"crop"', "resize is crop: this example can't"),
        ('"bilinear"', '"nearest"', "interpolation is nearest: this example does bilinear"),
        ('"greedy"', '"beam"', "decoder is beam: this example does greedy"),
        ('"image": {', '"picture": {', "there is no key 'image'"),
    ],
)
def test_what_it_can_not_do_is_refused(example, old, new, message):
    _, document = _deployment('color = "BGR"')
    room = ctypes.create_string_buffer(256)
    assert old in document
    place = np.zeros(36, np.float32).ctypes.data_as(ctypes.c_void_p)
    assert example.text(document.replace(old, new).encode(), place, 4, 9, room) == -1
    assert message in example.why().decode()


def test_json_is_read(example):
    room = ctypes.create_string_buffer(1024)
    texts = ["", 'a"b\\c/\b\f\n\r\t', "京ä", "😀", "\x01"]
    for ascii_only in (True, False):
        document = json.dumps(texts, ensure_ascii=ascii_only)
        assert example.texts_in(document.encode(), room) >= 0, example.why()
        assert room.value.decode() == "".join(f"{text}|" for text in texts)
    broken = [
        "",
        "[",
        '["a"',
        '["a",]',
        '["a" "b"]',
        '["\\x"]',
        '["\\u12"]',
        "[nul]",
        "[1]",
        "[] x",
    ]
    for document in [*broken, "[" * 100 + "]" * 100]:
        assert example.texts_in(document.encode(), room) == -1, document
