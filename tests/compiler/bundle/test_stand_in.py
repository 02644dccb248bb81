"""A bundle's files, run by a stand-in for nvinfer on a video that GStreamer really decodes."""

from __future__ import annotations

import functools
import shutil
import subprocess

import numpy as np
import nvinfer_stand_in
import pytest
from PIL import Image

from lprc.compiler.artifact.artifact import open_artifact
from lprc.core.running.numerics import Session
from lprc.models.plate_detector.scenes import street_scene

SIZE = (640, 360)
FRAMES = 8


def _picture(index):
    return Image.fromarray(street_scene(index, 11).image)


@functools.cache
def _network(folder):
    return Session(folder / "lowered.onnx"), open_artifact(folder).task


def _expected(deepstream, frame):
    """Boxes and texts as the tasks have them, from frames with black borders."""
    detector, reader = (_network(deepstream / "models" / name) for name in ("detector", "reader"))
    session, task = detector
    task = task.with_input(task.input.changed(border=0))
    outputs = session.run({"image": task.input.array(frame)[None]})
    (found,) = task.answers(outputs, [task.input.placement(frame.size)])
    found = found.at_least(np.float32(0.4))
    boxes, texts = [], []
    for left, top, right, bottom in found.boxes[:8].tolist():
        across, down = 0.06 * (right - left), 0.12 * (bottom - top)
        wide = (
            max(0.0, left - across),
            max(0.0, top - down),
            min(SIZE[0], right + across),
            min(SIZE[1], bottom + down),
        )
        boxes.append(wide)
        piece = frame.crop(nvinfer_stand_in._outer(wide, SIZE))
        array = reader[1].input.array(piece)[None]
        (text,) = reader[1].answers(reader[0].run({"image": array}), [None])
        is_large = wide[2] - wide[0] >= 18 and wide[3] - wide[1] >= 8
        texts.append(text if is_large else None)
    return boxes, texts


def _check(deepstream, parsers, frames):
    total = 0
    engines = nvinfer_stand_in.engines(deepstream, ("detector", "reader"), parsers)
    for frame in frames:
        objects = []
        for engine in engines:
            engine.run(frame, objects)
        boxes, texts = _expected(deepstream, frame)
        np.testing.assert_allclose([item.box for item in objects], boxes, atol=2e-3)
        assert [item.texts.get(2) for item in objects] == texts
        total += len(objects)
    return total


def test_the_configuration_says_what_the_tasks_do(deepstream, parsers):
    assert _check(deepstream, parsers, map(_picture, range(20))) > 20


def test_on_photographs(deepstream, parsers, frames):
    paths = sorted((frames / "val").rglob("*.jpg"))[::7]
    assert _check(deepstream, parsers, [Image.open(path).convert("RGB") for path in paths]) >= 14


def test_on_a_video_that_gstreamer_decodes(deepstream, parsers, tmp_path):
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
    assert _check(deepstream, parsers, map(Image.fromarray, pixels)) > 8


def _launch(line):
    done = subprocess.run(
        ["gst-launch-1.0", "-q", *line.split()], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
