"""A bundle's files, run by a stand-in for nvinfer on a video that GStreamer really decodes."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import nvinfer_stand_in
import pytest
from nvinfer_parsers import compiled
from PIL import Image
from stage_cases import MODELS

from lprc.compiler.bundle.write import bundle
from lprc.compiler.frames.execute import answer_one
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.opened import opened
from lprc.compiler.frames.read_pipeline import read_pipeline
from lprc.compiler.frames.share import Share
from lprc.models.plate_detector.scenes import street_scene

SIZE = (640, 360)
FRAMES = 8
ORDER = ("detector", "reader")


def _picture(index):
    return Image.fromarray(street_scene(index, 11).image)


@pytest.fixture(scope="module")
def black(pipeline_file, tmp_path_factory):
    """A bundle of a detector whose borders are black, as nvinfer's are."""
    folder = tmp_path_factory.mktemp("black")
    task = (MODELS / "plate_detector.toml").read_text().replace("border = 127", "border = 0")
    (folder / "black.toml").write_text(task)
    text = pipeline_file.read_text().replace('task = "plate-detector"', 'task = "black.toml"')
    (folder / "pipeline.toml").write_text(text)
    written = bundle(folder / "pipeline.toml", "deepstream", folder / "out", frame=SIZE)
    assert not any("borders" in note for note in written.notes)
    return folder / "out"


@pytest.fixture(scope="module")
def parsers(black, harness_file, tmp_path_factory):
    return compiled(black, tmp_path_factory.mktemp("build"), harness_file)


@pytest.fixture(scope="module")
def networks(black):
    """What `lprc run` runs: the bundle's lowered graphs by the same pipeline."""
    pipeline = read_pipeline(black.parent / "pipeline.toml")
    return opened(pipeline, {name: black / "models" / name for name in ORDER}, Share(1, 1))


def _expected(networks, picture):
    """Boxes with their margin, and texts, of `lprc run`."""
    answered = answer_one(Frame("picture", 0, picture), networks)
    boxes, texts = [], []
    for item in answered.reading.shown_boxes():
        if item.score < np.float32(0.4):  # shown and not read; nvinfer has one threshold
            continue
        left, top, right, bottom = item.box
        across, down = 0.06 * (right - left), 0.12 * (bottom - top)
        wide = left - across, top - down, right + across, bottom + down
        boxes.append(np.clip(wide, 0, [*SIZE, *SIZE]))
        texts.append(item.readings["reader"].text if "reader" in item.readings else None)
    return boxes, texts


def _check(black, parsers, networks, frames):
    total = 0
    engines = nvinfer_stand_in.engines(black, ORDER, parsers)
    for frame in frames:
        objects = []
        for engine in engines:
            engine.run(frame, objects)
        boxes, texts = _expected(networks, frame)
        np.testing.assert_allclose([item.box for item in objects], boxes, atol=2e-3)
        assert [item.texts.get(2) for item in objects] == texts
        total += len(objects)
    return total


def test_the_configuration_says_what_lprc_run_does(black, parsers, networks):
    assert _check(black, parsers, networks, map(_picture, range(20))) > 20


def test_on_photographs(black, parsers, networks, frames):
    paths = sorted((frames / "val").rglob("*.jpg"))[::7]
    assert (
        _check(black, parsers, networks, [Image.open(path).convert("RGB") for path in paths]) >= 14
    )


def test_on_a_video_that_gstreamer_decodes(black, parsers, networks, tmp_path):
    if shutil.which("gst-launch-1.0") is None:
        pytest.skip("no gst-launch-1.0 on PATH (Debian: gstreamer1.0-tools, -plugins-good)")
    video = tmp_path / "street.avi"
    for index in range(FRAMES):
        _picture(index).save(tmp_path / f"{index}.png")
    _launch(
        f"multifilesrc location={tmp_path}/%d.png caps=image/png,framerate=5/1 ! pngdec ! "
        f"videoconvert ! jpegenc quality=95 ! avimux ! filesink location={video}"
    )
    raw = tmp_path / "frames.rgb"
    _launch(
        f"filesrc location={video} ! decodebin ! videoconvert ! video/x-raw,format=RGB ! "
        f"filesink location={raw}"
    )
    pixels = np.fromfile(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0], 3)
    assert len(pixels) == FRAMES
    assert _check(black, parsers, networks, map(Image.fromarray, pixels)) > 8


def _launch(line):
    done = subprocess.run(
        ["gst-launch-1.0", "-q", *line.split()], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
