"""A built pipeline beside the same two networks with NumPy and OpenCV around them, interleaved.

    lprc build examples/street/street.toml
    python benchmarks/pipeline.py examples/street/street.toml --data examples/street/scenes

The others run the float networks, as ALPR packages do: read a file with OpenCV, put it into the
detector's input, suppress with OpenCV, cut out, resize, read, decode with NumPy; one frame after
the other, one thread for each network, in ONNX Runtime and in OpenVINO. lprc runs what is built,
with one thread for each network too, and its steps overlap. All take turns over the same frames.

Told are, as medians over turns: frames a second, milliseconds of CPU time a frame (of all threads,
which other work on the machine moves less), and the texts read end to end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lprc.compiler.frames.built import built_networks
from lprc.compiler.frames.execute import answered
from lprc.compiler.frames.pipeline_file import EdgeTable
from lprc.compiler.frames.read_pipeline import FramePipeline, read_pipeline
from lprc.compiler.frames.share import share_of_cores
from lprc.compiler.frames.sources import ImageFile
from lprc.core.tasks.task_file import task_choice

Run = Callable[[NDArray[np.float32]], list[NDArray[Any]]]
Texts = list[tuple[NDArray[np.float64], str]]
"""Of a frame: left, top, right, bottom, and what was read there."""


class Contestant(Protocol):
    """Finds and reads in files."""

    def texts(self, files: Sequence[Path]) -> Iterator[Texts]:
        """What is read in each."""


@dataclass
class Turns:
    """What was measured of a contestant."""

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    right: int = 0


def main() -> None:
    """Print a table."""
    arguments = _arguments()
    pipeline = read_pipeline(arguments.pipeline)
    truth = _truth(arguments.data)
    files = [arguments.data / name for name in truth] * arguments.repeats
    contestants: dict[str, Contestant] = {
        "ONNX Runtime, float, NumPy and OpenCV": Loop(pipeline, _onnxruntime),
        "OpenVINO, float, NumPy and OpenCV": Loop(pipeline, _openvino),
        f"lprc run {arguments.pipeline.name}": Lprc(pipeline),
    }
    turns = {name: Turns() for name in contestants}
    for turn in range(arguments.turns + 1):
        for name, contestant in contestants.items():
            begun, spent = time.perf_counter(), time.process_time()
            texts = list(contestant.texts(files))
            wall, cpu = time.perf_counter() - begun, time.process_time() - spent
            if turn:  # the first one loads caches
                turns[name].rates.append(len(files) / wall)
                turns[name].cpu.append(cpu / len(files) * 1e3)
            pairs = zip(files[: len(truth)], texts, strict=False)
            turns[name].right = sum(_right(answer, truth[file.name]) for file, answer in pairs)
    total = sum(map(len, truth.values()))
    first = statistics.median(turns[next(iter(turns))].cpu)
    print("| | frames a second | CPU ms a frame | ratio | texts right |")
    print("|---|---|---|---|---|")
    for name, measured in turns.items():
        cpu = statistics.median(measured.cpu)
        print(
            f"| {name} | {statistics.median(measured.rates):.1f} | {cpu:.2f} "
            f"| {cpu / first:.2f} | {measured.right} of {total} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path, help="a detector in front of a plate reader, built")
    parser.add_argument("--data", type=Path, required=True, help="COCO's annotations with texts")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=4, help="of all images in a turn")
    return parser.parse_args()


def _truth(data: Path) -> dict[str, Texts]:
    document = json.loads((data / "instances.json").read_text(encoding="utf-8"))
    names = {image["id"]: image["file_name"] for image in document["images"]}
    truth: dict[str, Texts] = {name: [] for name in names.values()}
    for item in document["annotations"]:
        if item.get("text"):
            left, top, width, height = item["bbox"]
            box = np.array((left, top, left + width, top + height), np.float64)
            truth[names[item["image_id"]]].append((box, item["text"]))
    return truth


def _right(found: Texts, truth: Texts) -> int:
    """How many true texts are read in a box that overlaps theirs by half."""
    return sum(
        any(text == wanted and _overlap(box, place) >= 0.5 for box, text in found)
        for place, wanted in truth
    )


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.clip(sides, 0, None).prod())
    return shared / float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


class Lprc:
    """What is built, with overlapping steps."""

    def __init__(self, pipeline: FramePipeline) -> None:
        self._networks = built_networks(pipeline, share_of_cores(1))

    def texts(self, files: Sequence[Path]) -> Iterator[Texts]:
        """What is read in each."""
        frames = (frame for file in files for frame in ImageFile(file).frames())
        for frame in answered(frames, self._networks):
            yield [
                (np.array(found.box), reading.text)
                for found in frame.reading.shown_boxes()
                for reading in found.readings.values()
            ]


class Loop:
    """The float networks in a loop over files."""

    def __init__(self, pipeline: FramePipeline, load: Callable[[Path], Run]) -> None:
        self._edge: EdgeTable = pipeline.file.edges[0]
        self._detect = load(pipeline.model(self._edge.source))
        self._read = load(pipeline.model(self._edge.to))
        self._detector = _settings(pipeline, self._edge.source)
        self._reader = _settings(pipeline, self._edge.to)
        self._alphabet: str = self._reader["output"]["alphabet"]

    def texts(self, files: Sequence[Path]) -> Iterator[Texts]:
        """What is read in each."""
        for file in files:
            image = cv2.imread(str(file))
            boxes = self._boxes(image)
            crops = [self._crop(image, box) for box in boxes]
            yield list(zip(boxes, self._decoded(crops), strict=True)) if crops else []

    def _boxes(self, image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
        settings = self._detector["input"]
        width, height = settings["width"], settings["height"]
        ratio = min(width / image.shape[1], height / image.shape[0])
        scaled = cv2.resize(image, None, fx=ratio, fy=ratio) if ratio != 1 else image
        below, right = height - scaled.shape[0], width - scaled.shape[1]
        grey = (settings["border"],) * 3
        whole = cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_CONSTANT, value=grey)
        scores, sides = self._detect(_normalized([whole], settings))
        rows = np.flatnonzero(scores[0].reshape(-1) >= (self._edge.min_score or 0.3))
        corners = sides[0][rows] / ratio
        sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        best = cv2.dnn.NMSBoxes(sizes.tolist(), scores[0].reshape(-1)[rows].tolist(), 0.0, 0.6)
        return [corners[index].astype(np.float64) for index in np.ravel(best).astype(int)]

    def _crop(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
        left, top = np.clip(np.floor(box[:2]), 0, None).astype(int)
        right, bottom = np.ceil(box[2:]).astype(int)
        size = (self._reader["input"]["width"], self._reader["input"]["height"])
        return np.asarray(cv2.resize(image[top:bottom, left:right], size), np.uint8)

    def _decoded(self, crops: Sequence[NDArray[np.uint8]]) -> list[str]:
        if not crops:
            return []
        (logits,) = self._read(_normalized(crops, self._reader["input"]))
        texts, blank = [], len(self._alphabet)
        for row in logits.argmax(axis=1):
            fresh = row[np.concatenate([[True], row[1:] != row[:-1]])]
            texts.append("".join(self._alphabet[code] for code in fresh[fresh < blank]))
        return texts


def _settings(pipeline: FramePipeline, name: str) -> Mapping[str, Any]:
    task = task_choice(pipeline.task(name)).task
    assert task is not None
    return task.settings.model_dump(mode="json")


def _normalized(
    images: Sequence[NDArray[np.uint8]], settings: Mapping[str, Any]
) -> NDArray[np.float32]:
    values = np.stack(images).astype(np.float32)
    values = (values - np.float32(settings["mean"])) * np.float32(settings["scale"])
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _onnxruntime(model: Path) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda array: session.run(None, {name: array})


def _openvino(model: Path) -> Run:
    import openvino as ov

    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
    request = ov.Core().compile_model(str(model), "CPU", config).create_infer_request()
    return lambda array: [np.array(value) for value in request.infer([array]).to_tuple()]


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
