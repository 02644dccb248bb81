"""A built pipeline beside the same two networks with NumPy and OpenCV around them, interleaved.

    lprc build examples/street/street.toml
    python benchmarks/pipeline.py examples/street/street.toml --data examples/street/scenes

The others run the float networks, as ALPR packages do: read a file with OpenCV, put it into the
detector's input, suppress with OpenCV, cut out, resize, read, decode with NumPy; one frame after
the other, with --threads for each network, in ONNX Runtime and in OpenVINO. lprc runs what is
built, one frame a core, with one thread for each network. All take turns, a few frames each.

Told are: milliseconds of the detector's and of the reader's run and of a whole frame, as medians
over frames and over turns; seconds for all frames; frames a second; milliseconds of CPU time that
a frame takes (of all threads; other work on the machine moves it less); and the texts read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
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

TURN = 24
"""Frames of one contestant before the next one's."""


class Contestant(Protocol):
    """Finds and reads in files.

    Attributes:
        detecting: Seconds of the detector's run, of each frame.
        reading: Of the reader's, of each frame that it ran for.
    """

    detecting: list[float]
    reading: list[float]

    def texts(self, files: Sequence[Path]) -> Iterator[Texts]:
        """What is read in each."""


@dataclass
class Turns:
    """What was measured of a contestant.

    Attributes:
        walls: Seconds of each turn.
        frames: Of each turn.
        cpu: Seconds of CPU time, of all turns.
        right: Texts of the scenes.
    """

    walls: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    cpu: float = 0.0
    right: int = 0

    @property
    def rate(self) -> float:
        """Frames a second, the median over turns."""
        pairs = zip(self.frames, self.walls, strict=True)
        return statistics.median(frames / wall for frames, wall in pairs)


def main() -> None:
    """Print two tables."""
    arguments = _arguments()
    pipeline = read_pipeline(arguments.pipeline)
    truth = _truth(arguments.data)
    scenes = [arguments.data / name for name in truth]
    threads = arguments.threads
    contestants: dict[str, Contestant] = {
        "ONNX Runtime, float": Loop(pipeline, partial(_onnxruntime, threads)),
        "OpenVINO, float": Loop(pipeline, partial(_openvino, threads)),
        f"`lprc run {arguments.pipeline.name}`": Lprc(pipeline),
    }
    turns = {name: Turns() for name in contestants}
    for name, contestant in contestants.items():  # this loads caches, too
        pairs = zip(scenes, contestant.texts(scenes), strict=True)
        turns[name].right = sum(_right(answer, truth[file.name]) for file, answer in pairs)
        contestant.detecting.clear()
        contestant.reading.clear()
    frames = list(islice(cycle(scenes), arguments.frames))
    for start in range(0, len(frames), TURN):
        for name, contestant in contestants.items():
            _measure(contestant, frames[start : start + TURN], turns[name])
    _print_tables(contestants, turns, sum(map(len, truth.values())))


def _measure(contestant: Contestant, files: Sequence[Path], turns: Turns) -> None:
    begun, spent = time.perf_counter(), time.process_time()
    for _ in contestant.texts(files):
        pass
    turns.walls.append(time.perf_counter() - begun)
    turns.cpu += time.process_time() - spent
    turns.frames.append(len(files))


def _print_tables(
    contestants: Mapping[str, Contestant], turns: Mapping[str, Turns], texts: int
) -> None:
    frames = sum(next(iter(turns.values())).frames)
    print(f"| ms | detector alone | reader alone | end to end | {frames} frames, s |")
    print("|---|---|---|---|---|")
    for name, contestant in contestants.items():
        detecting, reading = (
            f"{statistics.median(seconds) * 1e3:.1f}"
            for seconds in (contestant.detecting, contestant.reading)
        )
        whole = 1e3 / turns[name].rate
        print(f"| {name} | {detecting} | {reading} | {whole:.1f} | {sum(turns[name].walls):.2f} |")
    first = next(iter(turns.values())).rate
    print("\n| | frames a second | ratio | CPU ms a frame | texts right |")
    print("|---|---|---|---|---|")
    for name, measured in turns.items():
        print(
            f"| {name} | {measured.rate:.1f} | {measured.rate / first:.2f} "
            f"| {measured.cpu / frames * 1e3:.2f} | {measured.right} of {texts} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path, help="a detector in front of a plate reader, built")
    parser.add_argument("--data", type=Path, required=True, help="COCO's annotations with texts")
    parser.add_argument("--frames", type=int, default=298, help="the images again and again")
    parser.add_argument("--threads", type=int, default=1, help="of each float network")
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
        self._stages = [f"{name}: infer" for name in self._networks.networks]
        self.detecting: list[float] = []
        self.reading: list[float] = []

    def texts(self, files: Sequence[Path]) -> Iterator[Texts]:
        """What is read in each."""
        frames = (frame for file in files for frame in ImageFile(file).frames())
        for frame in answered(frames, self._networks):
            detector, reader = (frame.stages[stage] for stage in self._stages)
            self.detecting.append(detector)
            if frame.readings[self._networks.edges[0].to]:
                self.reading.append(reader)
            yield [
                (np.array(item.box), reading.text)
                for item in frame.reading.shown_boxes()
                for reading in item.readings.values()
            ]


class Loop:
    """The float networks in a loop over files."""

    def __init__(self, pipeline: FramePipeline, load: Callable[[Path], Run]) -> None:
        self._edge: EdgeTable = pipeline.file.edges[0]
        self._detect = load(pipeline.model(self._edge.source))
        self._read = load(pipeline.model(self._edge.to))
        self._detector = _settings(pipeline, self._edge.source)
        self._reader = _settings(pipeline, self._edge.to)
        self.detecting: list[float] = []
        self.reading: list[float] = []
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
        values = _normalized([whole], settings)
        begun = time.perf_counter()
        scores, sides = self._detect(values)
        self.detecting.append(time.perf_counter() - begun)
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
        values = _normalized(crops, self._reader["input"])
        begun = time.perf_counter()
        (logits,) = self._read(values)
        self.reading.append(time.perf_counter() - begun)
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


def _onnxruntime(threads: int, model: Path) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda array: session.run(None, {name: array})


def _openvino(threads: int, model: Path) -> Run:
    import openvino as ov

    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    request = ov.Core().compile_model(str(model), "CPU", config).create_infer_request()
    return lambda array: [np.array(value) for value in request.infer([array]).to_tuple()]


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
