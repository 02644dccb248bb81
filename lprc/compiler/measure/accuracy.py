"""The plate accuracy of a model or artefact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.core.errors import DataError
from lprc.core.running.runner import Runner
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch
from lprc.models.labels import LabelledImage, read_labelled
from lprc.models.plate_config import BUILTIN, PlateConfig


@dataclass(frozen=True)
class Wrong:
    """A plate that was misread."""

    file: str
    label: str
    predicted: str


@dataclass(frozen=True)
class Evaluation:
    """How many plates were read right; `wrong` lists the others."""

    artefact: str
    plates: str
    correct: int
    total: int
    wrong: tuple[Wrong, ...]

    @property
    def accuracy(self) -> float:
        """Exact matches over plates."""
        return self.correct / self.total

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "artefact": self.artefact,
            "plates": self.plates,
            "accuracy": self.accuracy,
            "correct": self.correct,
            "total": self.total,
            "wrong": [vars(plate) for plate in self.wrong],
        }

    def metric(self, data_sha256: str) -> dict[str, Any]:
        """As one of a manifest's metrics.

        Args:
            data_sha256: Of the plates and their labels.
        """
        return {
            "value": self.accuracy,
            "correct": self.correct,
            "total": self.total,
            "plates": self.plates,
            "data_sha256": data_sha256,
        }


def evaluate(
    artefact: str | Path | Artifact,
    data: Path,
    *,
    config: PlateConfig | None = None,
    batch: int = 1,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Read every plate of `data` and compare with its label.

    Args:
        artefact: A folder of ``compile`` or a model file, opened or not.
        data: A folder of labelled plates.
        config: Alphabet and preprocessing; None chooses the built-in one with the model's number
            of classes.
        batch: Plates a run; the last may be smaller where the model's batch is symbolic.
        threads: CPU threads of the runtime.
        progress: Called with the plates done and their number.

    Raises:
        DataError: Data or alphabet do not fit each other or the model.
    """
    opened = artefact if isinstance(artefact, Artifact) else open_artifact(artefact)
    where = str(artefact.path) if isinstance(artefact, Artifact) else str(artefact)
    runner = opened.runner(threads=threads)
    name = image_input(runner.inputs, runner.outputs, where)
    _check_type(runner.dtypes[name], name, where)
    chosen = config or config_for(
        runner.inputs[name],
        lambda image: runner.run({name: image})[runner.outputs[0]],
        where,
    )
    size = _fixed_batch(runner.inputs[name]) or batch
    _check_size(runner.inputs[name], chosen, where)
    items = read_labelled(data, chosen)
    read: list[str] = []
    for start in range(0, len(items), size):
        read += _read(runner, name, items[start : start + size], chosen, size)
        if progress is not None:
            progress(len(read), len(items))
    wrong = tuple(
        Wrong(item.path.name, item.label, text)
        for item, text in zip(items, read, strict=True)
        if item.label != text
    )
    return Evaluation(where, chosen.name, len(items) - len(wrong), len(items), wrong)


def _read(
    runner: Runner, name: str, items: list[LabelledImage], config: PlateConfig, size: int
) -> list[str]:
    images = load_batch([item.path for item in items], config)
    missing = size - len(items) if _fixed_batch(runner.inputs[name]) else 0
    if missing:
        images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
    logits = runner.run({name: images})[runner.outputs[0]]
    return greedy_decode(logits, config)[: len(items)]


Shapes = Mapping[str, tuple[int | None, ...]]


def image_input(inputs: Shapes, outputs: Sequence[str], where: str) -> str:
    """The name of a plate reader's one image input.

    Args:
        inputs: The shapes of a model's inputs by name; None where a size is symbolic.
        outputs: The names of its outputs.
        where: What to call the model in errors.

    Raises:
        DataError: It is no plate reader.
    """
    images = [name for name, shape in inputs.items() if len(shape) == 4]
    if len(images) != 1 or len(inputs) != 1 or len(outputs) != 1:
        raise DataError(
            f"has {len(inputs)} inputs and {len(outputs)} outputs",
            where=where,
            hint="a plate reader has one image in and one [N, classes, steps] out",
        )
    return images[0]


def _check_type(dtype: np.dtype[Any], name: str, where: str) -> None:
    if dtype != np.float32:
        raise DataError(
            f"input '{name}' is {dtype}, and plates are float32",
            where=where,
            hint="export the model with a float32 input",
        )


def _fixed_batch(shape: tuple[int | None, ...]) -> int | None:
    return shape[0]


def _check_size(shape: tuple[int | None, ...], config: PlateConfig, where: str) -> None:
    wanted = (3, config.height, config.width)
    if any(has is not None and has != want for has, want in zip(shape[1:], wanted, strict=True)):
        raise DataError(
            f"takes images of {list(shape[1:])}, not {list(wanted)}",
            where=where,
            hint=f"--plates names plates of another size than '{config.name}'",
        )


def config_for(
    shape: tuple[int | None, ...], run: Callable[[NDArray[Any]], NDArray[Any]], where: str
) -> PlateConfig:
    """The built-in configuration that fits a model's input size and number of classes.

    Args:
        shape: Of its image input; None where a size is symbolic.
        run: Gives the logits of images.
        where: What to call the model in errors.

    Raises:
        DataError: None fits.
    """
    candidates = [PlateConfig.named(name) for name in BUILTIN]
    sized = [
        config
        for config in candidates
        if shape[2] in (None, config.height) and shape[3] in (None, config.width)
    ]
    if sized:
        probe = sized[0]
        _check_size(shape, probe, where)
        image = np.zeros((shape[0] or 1, 3, probe.height, probe.width), np.float32)
        logits = run(image)
        for config in sized:
            if logits.ndim == 3 and logits.shape[1] == config.num_classes:
                return config
    alternatives = ", ".join(f"{config.name} ({config.num_classes})" for config in candidates)
    raise DataError(
        "no built-in alphabet has its input size and number of classes",
        where=where,
        hint=f"--plates FILE.toml names one; built in: {alternatives} classes",
    )
