"""Frames through two small networks: what is cut out, read and told."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from frames_support import SIZE, picture, write_pipeline
from PIL import Image

from lprc.compiler.frames.built import built_networks
from lprc.compiler.frames.execute import answer_one, answered
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.network import Network
from lprc.compiler.frames.read_pipeline import read_pipeline
from lprc.compiler.frames.share import Share
from lprc.core.errors import DataError
from lprc.core.process.peak_memory import peak_bytes


def networks(folder: Path, more: str = "", batch: str = "N"):
    return built_networks(read_pipeline(write_pipeline(folder, more, batch)), Share(2, 1))


def read(folder: Path, more: str = "", image: Image.Image | None = None, batch: str = "N"):
    """Label, score, box and text of what is found in a picture."""
    frame = answer_one(Frame("a.png", 0, image or picture()), networks(folder, more, batch))
    return [
        (
            item["score"],
            item["box"],
            item.get("reads", {}).get("reader", {}).get("text"),
        )
        for item in frame.document()["objects"]
    ]


FIRST, SECOND, WEAK = [4, 4, 20, 12], [30, 20, 50, 28], [2, 30, 40, 46]


def test_each_box_is_read(tmp_path: Path):
    assert read(tmp_path) == [(0.9, FIRST, "R"), (0.6, SECOND, "G")]


@pytest.mark.parametrize("batch", ["N", "1", "2", "3"])
def test_crops_share_batches_where_these_are_free(tmp_path: Path, batch: str):
    more = "min-score = 0.1"
    assert read(tmp_path, more, batch=batch) == [
        (0.9, FIRST, "R"),
        (0.6, SECOND, "G"),
        (0.2, WEAK, ""),
    ]


@pytest.mark.parametrize(
    ("more", "texts"),
    [
        ("top-k = 1", ["R", None]),
        ("min-score = 0.7", ["R", None]),
        ("min-size = [18, 8]", [None, "G"]),
        ("min-size = [16, 9]", [None, None]),
        ('classes = ["thing"]', ["R", "G"]),
        ("margin = [2.0, 2.0]", ["", ""]),
        ('rectify = "landmarks"', ["R", "G"]),
        ('rectify = "min-area-rectangle"', ["R", "G"]),
    ],
)
def test_an_edge_says_what_is_read(tmp_path: Path, more: str, texts: list[str | None]):
    assert [text for _, _, text in read(tmp_path, more)] == texts


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ('classes = ["plate"]', "edges.0.classes", "has no class 'plate'"),
        ('rectify = "landmarks"\n#', "edges.0.rectify", "gives no landmarks"),
    ],
)
def test_an_edge_must_fit_its_detector(tmp_path: Path, change: str, where: str, message: str):
    path = write_pipeline(tmp_path, change)
    task = tmp_path / "finder.toml"
    task.write_text(task.read_text().replace('landmarks = "points"', ""), encoding="utf-8")
    with pytest.raises(DataError, match=message) as raised:
        built_networks(read_pipeline(path))
    assert str(raised.value.where).endswith(where)


def test_an_edge_leaves_a_detector(tmp_path: Path):
    path = write_pipeline(tmp_path)
    text = path.read_text()
    text = text.replace('from = "finder"', 'from = "reader"').replace(
        'to = "reader"', 'to = "finder"'
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="task 'reader' of 'reader' finds no boxes"):
        built_networks(read_pipeline(path))


def test_a_task_file_that_is_missing_is_named_with_its_model(tmp_path: Path):
    path = write_pipeline(tmp_path)
    (tmp_path / "reader.toml").unlink()
    with pytest.raises(DataError, match="can't be read") as raised:
        built_networks(read_pipeline(path))
    assert "colours.toml: models.reader" in str(raised.value.where)
    assert "reader.toml" in str(raised.value.where)


def test_landmarks_make_a_slanting_thing_straight(tmp_path: Path):
    image = Image.new("RGB", SIZE, "blue")
    pixels = np.asarray(image).copy()
    ys, xs = np.mgrid[: SIZE[1], : SIZE[0]]
    top, bottom = 6 - (xs - 4) / 8, 12 - (xs - 4) / 8
    inside = (xs >= 4) & (xs < 20) & (ys >= top) & (ys < bottom)
    pixels[inside] = (255, 0, 0)
    straight = networks(tmp_path, 'rectify = "landmarks"')
    frame = answer_one(Frame("a.png", 0, Image.fromarray(pixels)), straight)
    piece = np.asarray(frame.readings["reader"][0].image)
    assert piece.shape == (6, 16, 3)
    assert (piece[..., 0] > 100).mean() > 0.9
    plain = networks(tmp_path)
    frame = answer_one(Frame("a.png", 0, Image.fromarray(pixels)), plain)
    assert (np.asarray(frame.readings["reader"][0].image)[..., 0] > 100).mean() < 0.8


def test_boxes_inside_of_boxes_lie_in_the_frame(tmp_path: Path):
    path = write_pipeline(tmp_path, "min-score = 0.5\n")
    text = path.read_text().replace('"reader.onnx"', '"finder.onnx"')
    path.write_text(text.replace('"reader.toml"', '"finder.toml"'), encoding="utf-8")
    frame = answer_one(Frame("a.png", 0, picture()), built_networks(read_pipeline(path)))
    inner = frame.document()["objects"][0]["reads"]["reader"]["objects"][0]
    assert inner["box"] == [5, 4.67, 9, 6]  # a sixteenth and a twelfth into the outer one


def test_times_and_confidences_are_told(tmp_path: Path):
    frame = answer_one(Frame("v.mp4", 3, picture(), seconds=0.3), networks(tmp_path))
    document = frame.document(stages=True)
    assert (document["source"], document["frame"], document["time"]) == ("v.mp4", 3, 0.3)
    assert document["size"] == list(SIZE)
    (confidence,) = document["objects"][0]["reads"]["reader"]["confidence"]
    assert 0.99 < confidence <= 1
    assert list(document["stages"]) == [
        "finder: prepare",
        "finder: infer",
        "reader: crop",
        "reader: prepare",
        "reader: infer",
    ]


def test_a_frame_without_a_picture_passes(tmp_path: Path):
    frames = [Frame("a", 0, picture()), Frame("b", 0, error="broken"), Frame("c", 0, picture())]
    done = list(answered(iter(frames), networks(tmp_path)))
    assert [frame.source for frame in done] == ["a", "b", "c"]
    assert done[1].document() == {"source": "b", "frame": 0, "error": "broken"}
    assert len(done[2].document()["objects"]) == 2


@pytest.mark.slow
def test_an_hour_of_video_needs_no_more_memory_than_a_minute(tmp_path: Path):
    """20,000 frames: none is lost, the order stays, and memory does not grow with their number."""
    image = picture()
    frames = (Frame("v", number, image.copy(), seconds=number / 25) for number in range(20_000))
    early, number = 0, -1
    for number, frame in enumerate(answered(frames, networks(tmp_path))):
        assert frame.number == number
        if number == 2000:
            gc.collect()
            early = peak_bytes()
    assert number == 19_999
    late = peak_bytes()
    assert late is not None
    assert early is not None
    assert late - early < 40e6  # all pictures would be 184 MB


@pytest.mark.parametrize("streams", [None, 1, 3])
def test_as_many_threads_run_a_network_as_its_runtime_takes(tmp_path: Path, streams: int | None):
    """TensorRT's and TVM's runners hold one request each, and say nothing of streams."""
    network = networks(tmp_path).networks["reader"]
    inside, most = 0, 0
    real = network._runner.run

    class Counted:
        inputs, dtypes, outputs = network._runner.inputs, network._runner.dtypes, ["y"]

        def run(self, inputs):
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1
            return real(inputs)

    if streams is not None:
        Counted.streams = streams
    batches = network.prepare([picture()])
    network = Network("reader", Counted(), network.task, network.interface)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: network.infer(batches), range(8)))
    assert most == (streams or 1)
