"""A folder that shows a failure again, with one command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.compiler.bisect.check_command import CheckCommand
from lprc.compiler.bisect.conditions import Verdict
from lprc.compiler.bisect.metrics import Metric, MetricCondition
from lprc.compiler.bisect.prefixes import Candidate
from lprc.compiler.bisect.replay_schema import Document, Replay
from lprc.compiler.bisect.shrink import CALIBRATION_SAMPLES, Reduced, Suspect, rewritten
from lprc.core.errors import DataError, InvalidModelError
from lprc.core.files.array_files import read_arrays
from lprc.core.files.checked import checked_json
from lprc.core.files.regular import read_regular
from lprc.core.onnx_io.model_io import load, save
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.noise import moved_beyond
from lprc.core.running.numerics import Arrays, RunError, Session, compare, rounding
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice

FILE = "bisect.json"
MODEL, AFTER, PIPELINE = "model.onnx", "after.onnx", "pipeline.txt"
INPUTS, EXPECTED = "inputs.npz", "expected.npz"
CALIBRATION, SETS = "calibration.npz", "metric_inputs.npz"

MOST_SAMPLES = 512
"""Calibration samples that are kept with a graph that could not be cut."""

_SCRIPT = """\
#!/bin/sh
# Exit code 5: the failure is still there; 0: it is gone.
cd "$(dirname "$0")" && exec lprc bisect --replay . "$@"
"""


@dataclass(frozen=True)
class Replayed:
    """What a reproducer does today."""

    broken: bool
    detail: str


def is_ours(folder: Path) -> bool:
    """Whether `folder` is one that was written here."""
    return (folder / FILE).is_file()


def write_reproducer(
    folder: Path,
    suspect: Suspect,
    reduced: Reduced,
    sets: Sequence[Arrays],
    asked: Mapping[str, str],
    document: Mapping[str, Any],
) -> None:
    """Fill `folder`.

    Args:
        folder: An empty folder.
        suspect: The passes.
        reduced: The graph that they break.
        sets: What graphs were compared on in the search.
        asked: The condition of the search, as the options that state it.
        document: What the search found, as JSON data.
    """
    most = MOST_SAMPLES if reduced.why else CALIBRATION_SAMPLES
    samples = list(reduced.calibration[:most]) if suspect.reads_calibration else []
    after = rewritten(reduced.model, suspect.passes, suspect.keys, samples)
    save(reduced.model, folder / MODEL)
    save(after, folder / AFTER)
    (folder / PIPELINE).write_text(f"{Pipeline(suspect.passes)}\n", encoding="utf-8")
    if reduced.inputs:
        _save_arrays(reduced.inputs, folder / INPUTS)
    if reduced.by_outputs:
        _save_arrays(Session(folder / MODEL).run(reduced.inputs), folder / EXPECTED)
    if samples:
        _save_samples(samples, folder / CALIBRATION)
    if "metric" in asked and not reduced.by_outputs:
        _save_samples(sets, folder / SETS)
    tolerance = None
    if reduced.by_outputs and suspect.tolerance is not None:
        tolerance = max(suspect.tolerance, rounding(reduced.model))
    replay = {"rewrites": list(suspect.keys), "tolerance": tolerance, **asked}
    text = json.dumps({**document, "replay": replay}, indent=2, ensure_ascii=False)
    (folder / FILE).write_text(f"{text}\n", encoding="utf-8")
    script = folder / "replay.sh"
    script.write_text(_SCRIPT, encoding="utf-8")
    script.chmod(0o755)


def replay(folder: Path, data: Path | None = None, task: TaskChoice = BY_MODEL) -> Replayed:
    """Run the passes of a reproducer again.

    Args:
        folder: The reproducer.
        data: Labelled samples, if the search was for accuracy and the graph could not be cut.
        task: What the model is for.

    Raises:
        InvalidModelError: Not a reproducer, or a file of it is missing or damaged.
        UsageError: The pass is not installed, or `data` is needed.
    """
    asked = _read(folder)
    model = load(folder / MODEL)
    try:
        text = read_regular(folder / PIPELINE).decode("utf-8")
        inputs = _load_arrays(folder / INPUTS)
        samples = _load_samples(folder / CALIBRATION)
        sets = _load_samples(folder / SETS)
    except (OSError, ValueError, TypeError, DataError) as error:
        raise InvalidModelError(f"can't be replayed: {error}", where=str(folder)) from error
    after = rewritten(model, Pipeline.parse(text).passes, asked.rewrites, samples)
    if asked.tolerance is not None:
        return _by_outputs(folder, model, after, inputs, asked.tolerance)
    if asked.check is not None:
        judgement = CheckCommand(asked.check).judge_model(after)
    elif asked.metric is not None:
        condition = MetricCondition(Metric.parse(asked.metric), sets, data, task)
        start = Candidate(model, MODEL, 0, ())
        judgement = condition.judge(Candidate(after, AFTER, 0, ()), start)
    else:
        raise InvalidModelError("does not say what to judge by", where=str(folder / FILE))
    return Replayed(judgement.verdict is Verdict.BAD, judgement.detail)


def _by_outputs(
    folder: Path, model: ir.Model, after: ir.Model, inputs: Arrays, tolerance: float
) -> Replayed:
    reference = Session(model)
    expected = _load_arrays(folder / EXPECTED) or reference.run(inputs)
    try:
        outputs = Session(after).run(inputs)
    except RunError as error:
        return Replayed(True, error.message)
    bad = moved_beyond(
        expected,
        outputs,
        tolerance,
        reference=lambda: reference,
        inputs=inputs,
        rounding=rounding(model),
    )
    told = bad or compare(expected, outputs)
    return Replayed(bool(bad), "; ".join(map(str, told[:3])))


def _read(folder: Path) -> Replay:
    path = folder / FILE
    if not path.is_file():
        raise InvalidModelError(
            "no such file",
            where=str(path),
            hint="--replay names a folder that `lprc bisect -o` wrote",
        )
    return checked_json(Document, path, error=InvalidModelError).replay


def _save_arrays(arrays: Mapping[str, Any], path: Path) -> None:
    """Write tensors; what is none (a sequence) is left out, and made again on replay."""
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        return
    # Arrays of objects (strings) would be pickled.
    plain: dict[str, Any] = {
        name: array.astype(str) if array.dtype == object else array
        for name, array in arrays.items()
    }
    with path.open("wb") as stream:
        np.savez(stream, **plain)


def _load_arrays(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return read_arrays(path)


def _save_samples(samples: Sequence[Arrays], path: Path) -> None:
    numbered = enumerate(samples)
    named = {f"{i}/{name}": array for i, arrays in numbered for name, array in arrays.items()}
    _save_arrays(named, path)


def _load_samples(path: Path) -> Sequence[Arrays]:
    samples: dict[int, dict[str, Any]] = {}
    for key, array in _load_arrays(path).items():
        number, _, name = key.partition("/")
        samples.setdefault(int(number), {})[name] = array
    return [samples[number] for number in sorted(samples)]
