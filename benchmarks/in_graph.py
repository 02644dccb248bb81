"""LPRNet from bytes to text: pre- and postprocessing in the graph beside numpy around it.

    python benchmarks/in_graph.py lprnet.onnx --data ../shared/lprnet

For each target two programs read the plates of ``val``, decoded to BGR bytes beforehand, one plate
at a time on one thread, in turn: *inside* hands the bytes to the artefact of ``compile --embed
preprocessing,postprocessing`` and looks characters up; *around* is (byte - mean) * scale and a
transposition in numpy, the float artefact of the same runtime, and greedy CTC in numpy. Accuracy is
of the texts that these programs read.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lprc
from lprc.core.tasks.confidence import wilson
from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.task_file import task_choice

FLOAT = {"ov": "ov-fp32", "ort": "ort-fp32", "tvm": "tvm-fp32"}
TARGETS = ["ov-fp32", "ov-int8", "ort-fp32", "ort-int8", "tvm-fp32", "tvm-int8"]
PARTS = ("preprocessing", "postprocessing")

Bytes = NDArray[np.uint8]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", default="lprnet")
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--plates", type=int, default=400)
    arguments = parser.parse_args()
    task: Any = task_choice(arguments.task).task
    samples = task.labelled(arguments.data / "val")[: arguments.plates]
    plates = [_bytes(task, sample.path) for sample in samples]
    texts = [sample.truth for sample in samples]
    print("| target | inside | around, float | inside / around |", "|---|---|---|---|", sep="\n")
    for target in arguments.targets:
        readers: dict[str, Inside | Around] = {
            "inside": Inside(arguments, task, target),
            "around": Around(arguments, task, FLOAT[target.split("-")[0]]),
        }
        seconds: dict[str, list[float]] = {name: [] for name in readers}
        right = dict.fromkeys(readers, 0)
        for reader in readers.values():
            for plate in plates[:20]:
                reader.read(plate)
        for plate, text in zip(plates, texts, strict=True):
            for name, reader in readers.items():
                started = time.perf_counter()
                answer = reader.read(plate)
                seconds[name].append(time.perf_counter() - started)
                right[name] += answer == text
        ratio = statistics.median(a / b for a, b in zip(*seconds.values(), strict=True))
        cells = [_cell(right[name], len(plates), seconds[name]) for name in readers]
        print(f"| `{target}` | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


def _cell(right: int, count: int, seconds: list[float]) -> str:
    interval = wilson(right, count)
    median = statistics.median(seconds) * 1e3
    return f"{right / count:.4f} ({interval.low:.3f} to {interval.high:.3f}), {median:.3f} ms"


def _bytes(task: Any, path: Path) -> Bytes:
    """A plate as a camera gives it: uint8 [height, width, 3], blue first."""
    pixels = np.asarray(task.input.fitted(read_image(path, "RGB")), np.uint8)
    return np.ascontiguousarray(pixels[:, :, ::-1])


class Inside:
    """Bytes to the artefact, characters looked up."""

    def __init__(self, arguments: argparse.Namespace, task: Any, target: str) -> None:
        self._artefact = _compiled(arguments, target, PARTS)
        self._runner = self._artefact.runner(threads=1)
        self._input = next(iter(self._runner.inputs))
        self._alphabet = task.alphabet

    def read(self, plate: Bytes) -> str:
        """The text of a plate."""
        codes = next(iter(self._runner.run({self._input: plate[None]}).values()))[0]
        return "".join(self._alphabet[code] for code in codes if code >= 0)


class Around:
    """The float artefact between numpy and numpy."""

    def __init__(self, arguments: argparse.Namespace, task: Any, target: str) -> None:
        self._artefact = _compiled(arguments, target, ())
        self._runner = self._artefact.runner(threads=1)
        self._input = next(iter(self._runner.inputs))
        self._alphabet, self._blank = task.alphabet, task.blank
        self._mean = np.float32(task.input.mean[0])
        self._scale = np.float32(task.input.scale[0])

    def read(self, plate: Bytes) -> str:
        """The text of a plate."""
        image = ((plate.astype(np.float32) - self._mean) * self._scale).transpose(2, 0, 1)
        inputs = {self._input: np.ascontiguousarray(image[None])}
        scores = next(iter(self._runner.run(inputs).values()))[0]
        best = scores.argmax(axis=0)
        changes = np.flatnonzero(np.diff(best, prepend=-1))
        return "".join(self._alphabet[code] for code in best[changes] if code != self._blank)


def _compiled(arguments: argparse.Namespace, target: str, embed: tuple[str, ...]) -> Any:
    shapes = None
    if target.startswith("tvm"):
        name = str(lprc.load(arguments.model).graph.inputs[0].name)
        shapes = {name: (1, None, None, None)}
    return lprc.compile(
        arguments.model,
        target,
        task=arguments.task,
        calibration=str(arguments.data / "calib") if "int8" in target else None,
        embed=embed,
        source_color="BGR" if embed else None,
        input_shapes=shapes,
    )


if __name__ == "__main__":
    main()
