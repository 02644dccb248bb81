"""``lprc run``: every kind of source, every kind of output, and what is broken among them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from frames_support import SIZE, picture, write_pipeline, write_video
from PIL import Image
from processes import run, run_lprc

from lprc.compiler.frames.video import Video

av = pytest.importorskip("av")


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    folder = tmp_path / "networks"
    folder.mkdir()
    return write_pipeline(folder)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    picture().save(folder / "a.png")
    picture("lime", "lime").save(folder / "b.png")
    return folder


def lines(done: subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def texts(document: dict) -> list[str]:
    return [item["reads"]["reader"]["text"] for item in document["objects"]]


def test_a_pipeline_reads_what_it_finds(lprc, pipeline: Path, images: Path):
    done = lprc("run", pipeline, images)
    assert done.stdout.splitlines() == [
        f"{images}/a.png: thing 0.90 at 4,4 to 20,12: R 1.00",
        f"{images}/a.png: thing 0.60 at 30,20 to 50,28: G 1.00",
        f"{images}/b.png: thing 0.90 at 4,4 to 20,12: G 1.00",
        f"{images}/b.png: thing 0.60 at 30,20 to 50,28: G 1.00",
    ]
    assert done.stderr == ""


@pytest.mark.parametrize("words", [["{}/a.png", "{}/b.png"], ["{}"], ["{}/*.png"], ["{}/[ab].png"]])
def test_files_folders_and_patterns(lprc, pipeline: Path, images: Path, words: list[str]):
    done = lprc("run", pipeline, *(word.format(images) for word in words), "--json")
    assert [Path(line["source"]).name for line in lines(done)] == ["a.png", "b.png"]
    assert [texts(line) for line in lines(done)] == [["R", "G"], ["G", "G"]]


def test_a_video_frame_after_frame(lprc, pipeline: Path, tmp_path: Path):
    write_video(tmp_path / "v.mp4")
    found = lines(lprc("run", pipeline, tmp_path / "v.mp4", "--json", "--show-stages"))
    assert [line["frame"] for line in found] == list(range(10))
    assert [line["time"] for line in found] == pytest.approx([n / 10 for n in range(10)])
    assert [texts(line)[0] for line in found] == ["R", "G"] * 5
    assert set(found[3]["stages"]) >= {"decode", "finder: infer", "reader: crop", "reader: infer"}


def test_a_telephones_video_stands_upright(lprc, pipeline: Path, tmp_path: Path):
    path = tmp_path / "v.mp4"
    write_video(path, frames=2)
    one, none = (1 << 16).to_bytes(4, "big"), bytes(4)
    last = (1 << 30).to_bytes(4, "big")
    plain = [one, none, none, none, one, none, none, none, last]
    clockwise = [none, one, none, (2**32 - 65536).to_bytes(4, "big"), none, none, none, none, last]
    data = path.read_bytes()
    track = data.index(b"tkhd")  # behind the movie's own matrix
    place = data.index(b"".join(plain), track)
    path.write_bytes(data[:place] + b"".join(clockwise) + data[place + 36 :])
    found = lines(lprc("run", pipeline, path, "--json"))
    assert found[0]["size"] == [SIZE[1], SIZE[0]]
    (frame, *_) = Video("v", path).frames()
    assert frame.picture.getpixel((SIZE[1] - 8, 12))[0] > 200  # the red thing, from the upper left
    assert frame.picture.getpixel((8, 12))[2] > 200


def test_annotated_pictures_and_videos(lprc, pipeline: Path, images: Path, tmp_path: Path):
    write_video(images / "v.mp4")
    other = tmp_path / "other"
    other.mkdir()
    picture().save(other / "a.jpg")
    shutil.copy(images / "a.png", other / "a.png")
    out = tmp_path / "out"
    lprc("run", pipeline, images, other, "-o", out)
    names = ["a-2.png", "a.jpg", "a.png", "b.png", "v.mp4"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert Image.open(out / "a.png").convert("RGB").getpixel((40, 28)) == (230, 25, 75)
    with av.open(str(out / "v.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [round(frame.time, 3) for frame in frames] == [round(n / 10, 3) for n in range(10)]
    assert (frames[0].width, frames[0].height) == SIZE
    red, green, _ = frames[0].to_ndarray(format="rgb24")[:12, 4:40].mean(axis=(0, 1))
    assert red > green + 50  # the ground of what was read


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "video"])
def test_standard_input(pipeline: Path, tmp_path: Path, kind: str):
    if kind == "video":
        write_video(tmp_path / "v.mkv", frames=2)
        data = (tmp_path / "v.mkv").read_bytes()
    else:
        stream = io.BytesIO()
        picture().save(stream, format=kind, quality=100)
        data = stream.getvalue()
    (tmp_path / "data").write_bytes(data)
    command = f"cat '{tmp_path}/data' | '{sys.executable}' -m lprc run '{pipeline}' - --json"
    found = lines(run(["sh", "-c", command]))
    assert [line["source"] for line in found] == ["stdin"] * (2 if kind == "video" else 1)
    assert texts(found[0]) == ["R", "G"]


def broken_files(folder: Path) -> dict[str, str]:
    """Files that are no pictures, each with what is said of it."""
    whole = (folder / "a.png").read_bytes()
    (folder / "empty.png").touch()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "words.jpg").write_text("no picture", encoding="utf-8")
    Image.new("1", (20_000, 10_000)).save(folder / "huge.png")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(folder / "deep.png")
    picture().save(folder / "moves.webp", save_all=True, append_images=[picture("lime")])
    (folder / "gone.png").symlink_to(folder / "nothing")
    (folder / "empty.mp4").touch()
    (folder / "list.avi").write_text("#EXTM3U\n#EXTINF:2,\nv.mp4\n", encoding="utf-8")
    return {
        "empty.png": "it is empty",
        "cut.png": "can't be read",
        "words.jpg": "not an image",
        "huge.png": "200000000 pixels",
        "deep.png": "more than 8 bits a channel",
        "moves.webp": "it holds 2 pictures",
        "gone.png": "No such file",
        "empty.mp4": "can't be opened",
        "list.avi": "can't be opened",
    }


def test_what_is_broken_is_named_and_the_rest_goes_on(pipeline: Path, images: Path):
    said = broken_files(images)
    done = run_lprc("run", pipeline, images, "--json")
    assert done.returncode == 8
    found = {Path(line["source"]).name: line for line in lines(done)}
    assert set(found) == {"a.png", "b.png", *said}
    warnings = done.stderr.splitlines()
    assert warnings.pop() == f"error: {len(said)} of {len(said) + 2} frames could not be read"
    for name, message in said.items():
        assert message in found[name]["error"]
        (warning,) = [line for line in warnings if f"{name}" in line]
        assert warning.startswith("warning: ")
        assert message in warning
    assert texts(found["a.png"]) == ["R", "G"]


def test_frames_that_can_not_be_decoded_are_named(pipeline: Path, tmp_path: Path):
    path = tmp_path / "v.mp4"
    write_video(path, frames=12)
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[5]
        place, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = bytes(size)
    path.write_bytes(data)
    done = run_lprc("run", pipeline, path, "--json")
    assert done.returncode == 8
    broken = [line for line in lines(done) if "error" in line]
    assert len(broken) == 1
    assert len(lines(done)) == 12
    warning, error = done.stderr.splitlines()
    assert warning.startswith(f"warning: {path} #{broken[0]['frame']}: can't be decoded: ")
    assert error == "error: 1 of 12 frames could not be read"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{pipeline}", "none.png"], 8, "none.png: no such file or folder"),
        (["{pipeline}", "*.none"], 8, "*.none: no file matches"),
        (["{pipeline}", "{images}/empty"], 8, "neither images nor videos in it"),
        (["{pipeline}", "7"], 8, "camera 7"),
        (["{pipeline}"], 2, "Missing argument"),
        (["{pipeline}", "{images}", "--task", "lprnet"], 2, "is for one model"),
        (["none.toml", "{images}"], 8, "none.toml: can't be read"),
        (["none.onnx", "{images}"], 3, "none.onnx: no such file or folder"),
        (["{folder}/reader.onnx", "{images}"], 8, "nothing tells what a model is for"),
        (["{folder}/reader.onnx", "{images}", "--task", "no.toml"], 8, "no.toml: can't be read"),
    ],
)  # fmt: skip
def test_what_can_not_be_run(pipeline: Path, images: Path, arguments, code: int, message: str):
    (images / "empty").mkdir()
    places = {"pipeline": pipeline, "images": images, "folder": pipeline.parent}
    done = run_lprc("run", *(word.format(**places) for word in arguments))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_one_model_by_itself(lprc, pipeline: Path, tmp_path: Path):
    Image.new("RGB", (20, 10), "red").save(tmp_path / "red.png")
    folder = pipeline.parent
    task = folder / "reader.toml"
    out = tmp_path / "out"
    done = lprc("run", folder / "reader.onnx", tmp_path / "red.png", "--task", task, "-o", out)
    assert done.stdout == f"{tmp_path}/red.png: R 1.00\n"
    drawn = Image.open(out / "red.png")
    assert drawn.height > 10
    assert drawn.getpixel((5, drawn.height - 2)) == (255, 0, 0)
    (line,) = lines(
        lprc("run", folder / "reader.onnx", tmp_path / "red.png", "--task", task, "--json")
    )
    assert (line["text"], line["size"]) == ("R", [20, 10])
    assert line["confidence"] == pytest.approx([1.0], abs=0.01)


def test_a_model_that_is_to_be_compiled_must_be_built_first(pipeline: Path, images: Path):
    text = pipeline.read_text().replace(
        'task = "finder.toml"', 'task = "finder.toml"\ntarget = "onnx"'
    )
    pipeline.write_text(text, encoding="utf-8")
    done = run_lprc("run", pipeline, images)
    assert done.returncode == 3
    assert "colours.toml: models.finder: must be built: not built yet" in done.stderr
    assert f"hint: `lprc build {pipeline}` compiles it" in done.stderr


def test_steps_are_told_in_a_table(lprc, pipeline: Path, images: Path):
    done = lprc("run", pipeline, images, "--show-stages", "-q")
    titles, *rows = done.stdout.splitlines()
    assert titles.split() == ["step", "frames", "median", "ms", "longest", "ms"]
    assert [row.split("  ")[0] for row in rows] == [
        "decode",
        "finder: prepare",
        "finder: infer",
        "reader: crop",
        "reader: prepare",
        "reader: infer",
    ]
