"""What others find by themselves: NNCF, NNCF with accuracy control, ONNX Runtime's quantiser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino as ov
from _quantization_peers import ERRORS, Sample, nncf_int8, ort_int8

from lprc.compiler.measure.evaluation import sample_inputs
from lprc.compiler.searching.evaluate import Evaluator
from lprc.core.tasks.score import Score


@dataclass(frozen=True)
class PeerRun:
    """What a tool made.

    Attributes:
        name: Its name.
        path: The model file; None where it failed.
        seconds: How long it took.
        why: Why it failed.
    """

    name: str
    path: Path | None
    seconds: float
    why: str = ""


def peer_runs(evaluator: Evaluator, folder: Path) -> list[PeerRun]:
    """Run them all, one after the other.

    Args:
        evaluator: With the model, its samples and labelled data.
        folder: Where models go.
    """
    samples: list[Sample] = [dict(sample) for sample in evaluator.calibration]
    source = evaluator.question.model
    ways: dict[str, Callable[[Path], Path]] = {
        "NNCF": lambda out: nncf_int8(
            source, samples, out, preset="performance", fast_bias_correction=True
        ),
        "NNCF, mixed": lambda out: nncf_int8(
            source, samples, out, preset="mixed", fast_bias_correction=False
        ),
        "NNCF with accuracy control": lambda out: accuracy_control(evaluator, samples, out),
        "quantize_static U8S8": lambda out: ort_int8(
            source, samples, out.with_suffix(".onnx"), scheme="U8S8"
        ),
        "quantize_static S8S8": lambda out: ort_int8(
            source, samples, out.with_suffix(".onnx"), scheme="S8S8"
        ),
    }
    runs = []
    for index, (name, way) in enumerate(ways.items()):
        started = time.monotonic()
        path, why = None, ""
        try:
            path = way(folder / f"peer-{index}.xml")
        except ERRORS as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
        runs.append(PeerRun(name, path, time.monotonic() - started, why))
    return runs


def accuracy_control(evaluator: Evaluator, samples: list[Sample], out: Path) -> Path:
    """``nncf.quantize_with_accuracy_control`` with the task's own score; the .xml."""
    task, interface = evaluator.task, evaluator.interface
    inputs = {item.path: sample_inputs(task, interface, item.path) for item in evaluator.samples}

    def score(compiled: Any, items: Iterable[Any]) -> float:
        records = []
        for item in items:
            results = compiled(inputs[item.path])
            named = {name: np.array(results[name]) for name in interface.outputs}
            place = task.prepare(item.path, interface)[1]
            (answer,) = task.answers(named, [place])
            records.append(task.judge(answer, item.truth))
        return Score(task, tuple(records)).value

    quantized = nncf.quantize_with_accuracy_control(
        ov.convert_model(evaluator.question.model),
        calibration_dataset=nncf.Dataset(samples),
        validation_dataset=nncf.Dataset(evaluator.samples),
        validation_fn=score,
        max_drop=evaluator.question.max_drop,
        drop_type=nncf.DropType.ABSOLUTE,
        subset_size=len(samples),
    )
    ov.save_model(quantized, out, compress_to_fp16=False)
    return out
