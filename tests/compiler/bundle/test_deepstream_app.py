"""The application is compiled, and runs with stand-ins for DeepStream's elements on real videos."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from nvinfer_parsers import HEADERS, HERE
from PIL import Image

FRAMES = 5


@pytest.fixture(scope="module")
def gstreamer(compilers):
    """Compiler flags of GStreamer, whose headers and tools are there."""
    asked = ["pkg-config", "--cflags", "--libs", "gstreamer-1.0", "gstreamer-base-1.0"]
    if shutil.which("pkg-config") is None or shutil.which("gst-launch-1.0") is None:
        pytest.skip("no pkg-config or no gst-launch-1.0 on PATH (Debian: gstreamer1.0-tools)")
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("no headers of GStreamer (Debian: libgstreamer1.0-dev)")
    return done.stdout.split()


def _run(command, check=True, **options):
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **options,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def stand_in(gstreamer, tmp_path_factory):
    """A folder with the plug-in that stands in for DeepStream's."""
    folder = tmp_path_factory.mktemp("plugins")
    flags = ["-shared", "-fPIC", "-Wall", "-Werror", f"-isystem{HEADERS}"]
    source, plugin = HERE / "deepstream_stand_in.c", folder / "libnvdsstandin.so"
    _run(["gcc", *flags, source, "-o", plugin, *gstreamer])
    return folder


@pytest.fixture(scope="module")
def environment(stand_in, tmp_path_factory):
    return {
        **os.environ,
        "GST_PLUGIN_PATH": str(stand_in),
        "GST_REGISTRY": str(tmp_path_factory.mktemp("registry") / "registry.bin"),
        "GST_REGISTRY_FORK": "no",
    }


@pytest.fixture(scope="module")
def application(deepstream, stand_in, environment, tmp_path_factory):
    """Calls the application with arguments, in the bundle's folder."""
    folder = tmp_path_factory.mktemp("application")
    (folder / "lib").mkdir()
    for name in ("nvdsgst_meta", "nvds_meta"):
        shutil.copy(stand_in / "libnvdsstandin.so", folder / "lib" / f"lib{name}.so")
    options = [f"-DNVDS_INCLUDE_DIR={HEADERS}", f"-DDEEPSTREAM_DIR={folder}"]
    options += ["-DCMAKE_CXX_FLAGS=-Werror", "-DCMAKE_BUILD_TYPE=Debug"]
    _run(["cmake", "-S", deepstream, "-B", folder / "build", *options])
    _run(["cmake", "--build", folder / "build", "--target", "lprc_app"])

    def call(*arguments, check=True):
        command = [folder / "build" / "lprc_app", *arguments]
        return _run(command, check, cwd=deepstream, env=environment)

    return call


@pytest.fixture(scope="module")
def video(gstreamer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    for index in range(FRAMES):
        Image.new("RGB", (64, 32), (index * 20, 0, 0)).save(folder / f"{index}.png")
    path = folder / "a b.avi"
    line = (
        f"multifilesrc location={folder}/%d.png caps=image/png,framerate=5/1 ! pngdec ! "
        "videoconvert ! jpegenc ! avimux ! filesink"
    )
    _run(["gst-launch-1.0", "-q", *line.split(), f"location={path}"])
    return path


def test_a_line_of_json_for_each_frame(application, video):
    done = application("--headless", video)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert [line["time"] for line in lines] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert lines[0]["objects"] == [
        {
            "class": "plate",
            "score": 0.5,
            "box": [10.0, 20.0, 110.0, 70.0],
            "read": {"reader": {"text": '京A"1\\2', "confidence": 0.875}},
        },
        {"class": "pla\tte", "score": 0.0, "box": [0.0, 0.0, 0.0, 0.0], "read": {}},
    ]
    for said in ("batch-size=1", "width=640", "height=360", "live-source=FALSE"):
        assert f"nvstreammux {said}" in done.stderr


def test_several_videos(application, video):
    done = application("--headless", video, video)
    assert len(done.stdout.splitlines()) == 2 * FRAMES
    assert "nvstreammux batch-size=2" in done.stderr


def test_what_can_not_be_run(application, video, tmp_path):
    wrong = {
        (): "no source: name a file or an rtsp:// URL",
        ("--headles", video): "--headles: no such option",
        (video, video, video): "the engines were built for 2 streams",
        ("--headless", tmp_path / "none.avi"): "error: ",
        ("--headless", "--folder", tmp_path, video): "no configuration",
        (video,): "GStreamer has no element 'nvmultistreamtiler'",
    }
    for arguments, message in wrong.items():
        done = application(*arguments, check=False)
        assert done.returncode == 1, arguments
        assert message in done.stderr
        assert not done.stdout


def test_the_launch_line(deepstream, environment, video, tmp_path):
    # From another folder: the script goes to its own.
    done = _run([deepstream / "launch.sh", video, "fakesink"], cwd=tmp_path, env=environment)
    assert "nvstreammux width=640" in done.stderr
    assert "Got EOS" in done.stdout
    done = _run([deepstream / "launch.sh"], check=False, env=environment)
    assert done.returncode != 0
    assert "FILE|rtsp://" in done.stderr
    hidden = deepstream / "config" / "reader.hidden"
    (deepstream / "config" / "reader.txt").rename(hidden)
    try:
        done = _run([deepstream / "launch.sh", video, "fakesink"], check=False, env=environment)
    finally:
        hidden.rename(deepstream / "config" / "reader.txt")
    assert "no configuration config/reader.txt" in done.stdout + done.stderr
