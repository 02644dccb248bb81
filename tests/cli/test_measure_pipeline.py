"""``lprc eval`` and ``lprc bench`` of a pipeline."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from frames_support import picture, write_pipeline, write_video
from processes import run_lprc

from lprc.compiler.frames.bench import bench_streams
from lprc.compiler.frames.built import built_networks
from lprc.compiler.frames.opened import Networks
from lprc.compiler.frames.read_pipeline import read_pipeline
from lprc.compiler.frames.share import Share
from lprc.compiler.frames.sources import sources

pytest.importorskip("pycocotools")

BOXES = ([4, 4, 16, 8], [30, 20, 20, 8])
"""Left, top, width, height: where the finder finds them."""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    return write_pipeline(tmp_path)


def annotated(folder: Path, images: list[list[tuple[list[float], str | None]]]) -> Path:
    """A folder of pictures of a red and a green thing, with boxes and texts as COCO has them."""
    folder.mkdir(exist_ok=True)
    annotations = []
    for number, boxes in enumerate(images):
        picture().save(folder / f"{number}.png")
        for box, text in boxes:
            item = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "bbox": box}
            annotations.append(item | ({} if text is None else {"text": text}))
    document = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(len(images))],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": annotations,
    }
    (folder / "instances.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_what_is_found_and_read_is_scored(lprc, pipeline: Path, tmp_path: Path):
    far = [44, 2, 16, 8]  # blue; nothing is found there
    data = annotated(
        tmp_path / "data",
        [
            [(BOXES[0], "R"), (BOXES[1], "G")],
            [(BOXES[0], "R"), (BOXES[1], "R")],  # reads G there
            [(BOXES[0], None), (BOXES[1], "G"), (far, "R")],
        ],
    )
    score = json.loads(lprc("eval", pipeline, "--data", data, "--json").stdout)
    assert score["detection"]["metric"] == "mAP@50"
    assert score["detection"]["recall@50"] == pytest.approx(6 / 7)
    reader = score["readers"]["reader"]
    assert (reader["true_boxes"]["correct"], reader["true_boxes"]["total"]) == (4, 6)
    assert (reader["end_to_end"]["correct"], reader["end_to_end"]["total"]) == (4, 6)
    assert (reader["right_readings"], reader["readings"]) == (4, 5)
    low, high = reader["end_to_end"]["interval"]
    assert 0 < low < 4 / 6 < high < 1

    shown = lprc("eval", pipeline, "--data", data).stdout.splitlines()
    assert shown[0].startswith("finder: mAP@50 ")
    assert shown[1].startswith("reader, in the true boxes: plate accuracy 0.6667 (")
    assert shown[2].startswith("reader, end to end: plate accuracy 0.6667 (")
    assert shown[3] == "reader: 4 of 5 readings stand there"


def test_true_boxes_are_read_though_nothing_is_passed_on(lprc, pipeline: Path, tmp_path: Path):
    data = annotated(tmp_path / "data", [[([4, 4, 16, 4], "R")], [(BOXES[0], "R")]])
    pipeline.write_text(pipeline.read_text() + "min-score = 0.95\n", encoding="utf-8")
    score = json.loads(lprc("eval", pipeline, "--data", data, "--json").stdout)
    reader = score["readers"]["reader"]
    assert (reader["true_boxes"]["correct"], reader["true_boxes"]["total"]) == (2, 2)
    assert (reader["end_to_end"]["correct"], reader["readings"]) == (0, 0)


def test_boxes_without_texts_are_scored_alone(lprc, pipeline: Path, tmp_path: Path):
    data = annotated(tmp_path / "data", [[(BOXES[0], None), (BOXES[1], None)]])
    done = lprc("eval", pipeline, "--data", data)
    assert done.stdout.startswith("finder: mAP@50 1.0000")
    assert "no text is annotated" in done.stderr


def test_a_text_beyond_the_alphabet_is_named(pipeline: Path, tmp_path: Path):
    data = annotated(tmp_path / "data", [[(BOXES[0], "RX")]])
    done = run_lprc("eval", pipeline, "--data", data)
    assert done.returncode == 8
    assert "the text 'RX' has 'X', which is not in the alphabet 'reader'" in done.stderr


@pytest.mark.parametrize("kind", ["images", "video"])
def test_streams_are_measured(lprc, pipeline: Path, tmp_path: Path, kind: str):
    if kind == "video":
        pytest.importorskip("av")
        write_video(tmp_path / "v.mp4")
    place = annotated(tmp_path / "data", [[], []]) if kind == "images" else tmp_path / "v.mp4"
    options = ["--streams", "1,2", "--rounds", "30", "--threads", "1", "--draw"]
    rows = json.loads(lprc("bench", pipeline, place, *options, "--json").stdout)
    assert [(row["streams"], row["frames"]) for row in rows] == [(1, 30), (2, 60)]
    for row in rows:
        assert row["frames_per_second"] == pytest.approx(row["frames"] / row["seconds"])
        assert list(row["stages"]) == [
            "decode",
            "finder: prepare",
            "finder: infer",
            "reader: crop",
            "reader: prepare",
            "reader: infer",
            "draw",
        ]
        assert all(taken > 0 for taken in row["stages"].values())
    table = lprc("bench", pipeline, place, *options).stdout.splitlines()
    assert table[0].split() == [
        "streams",
        "frames",
        "at",
        "once",
        "threads",
        *["frames", "a", "second"],
    ]
    assert table[3].split() == ["median", "ms", "1", "stream", "2", "streams"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{}"], 2, "names no frames"),
        (["{}", "x.png"], 8, "no such file or folder"),
        (["{}", "{}", "--streams", "0"], 2, "is no list of numbers"),
        (["{}", "broken.png"], 8, "it is empty"),
        (["finder.onnx", "--draw"], 2, "is for a pipeline.toml"),
    ],
)
def test_what_can_not_be_measured(pipeline: Path, arguments: list[str], code: int, message: str):
    (pipeline.parent / "broken.png").touch()
    words = [word.format(pipeline.name) for word in arguments]
    done = run_lprc("bench", *words, cwd=pipeline.parent)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_measurement_that_is_ended_stops_its_streams_first(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A runtime whose process goes away in the middle of a call aborts with a word of its own."""
    networks = built_networks(read_pipeline(pipeline), Share(2, 1))
    picture().save(tmp_path / "0.png")
    pictures = sources([str(tmp_path / "0.png")])

    join = threading.Thread.join

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        if threading.current_thread() is not threading.main_thread():
            return join(self, timeout)
        monkeypatch.undo()
        raise KeyboardInterrupt

    def opened(_share: Share) -> Networks:
        monkeypatch.setattr(threading.Thread, "join", interrupted)
        return networks

    running = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        bench_streams(opened, pictures, streams=2, frames=10**6, share=Share(2, 1))
    assert threading.active_count() == running
