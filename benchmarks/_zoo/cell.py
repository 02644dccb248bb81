"""One cell of the table: a command in a process of its own, with a time limit, then judged."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from _zoo.columns import Column, Kind, Place
from _zoo.forked import Ended, run_forked
from _zoo.inputs import read_inputs, samples

VERDICT = Path(__file__).with_name("verdict.py")
CALIBRATION_SAMPLES, TEST_SAMPLES = 16, 16
EXACT_ERROR = 2e-3
"""Largest difference of a float32 artefact over the largest value of the output."""
FLOAT16_ERROR = 5e-2
FLOAT16_UNITS = 2.0**13
"""How much coarser float16 is than float32."""
LEAST_INT8_SNR = 10.0
INTERNAL = 70
VERDICT_SECONDS = 300.0


def sample_folders(model: Path, place: Path) -> tuple[Path, Path]:
    """Folders of calibration and of held-out samples, written where they are not there yet."""
    folders = place / model.stem / "calibration", place / model.stem / "test"
    counts = CALIBRATION_SAMPLES, TEST_SAMPLES
    for seed, (folder, count) in enumerate(zip(folders, counts, strict=True), start=1):
        folder.mkdir(parents=True, exist_ok=True)
        for index, sample in enumerate(samples(read_inputs(model), count, seed)):
            np.savez(folder / f"{index:02}.npz", **sample)  # type: ignore[arg-type]
    return folders


def run_cell(model: Path, column: Column, samples_place: Path, limit: float) -> dict[str, Any]:
    """Ask and judge; ``status``, ``seconds``, ``code``, ``message`` and what the verdict says."""
    calibration, test = sample_folders(model, samples_place)
    result: dict[str, Any] = {"network": model.stem, "column": column.name}
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        folder = Path(name)
        place = Place(model.resolve(), calibration.resolve(), folder / "artefact")
        line, artefact = column.command(place)
        started = time.perf_counter()
        ended = _run(line, folder, limit)
        result["seconds"] = round(time.perf_counter() - started, 2)
        result["code"] = ended.code
        if ended.code != 0:
            told = [text for text in ended.errors.splitlines() if text.strip()]
            result["message"] = _message(told, column)
            result["status"] = _failure(ended, column)
            return result
        verdict = [str(VERDICT), *map(str, (model.resolve(), artefact, test.resolve()))]
        ended = _run(verdict, folder, VERDICT_SECONDS)
        if ended.code != 0:
            lines = ended.errors.strip().splitlines() or ["no answer"]
            return {**result, "status": "wrong", "message": f"does not run: {lines[-1][:300]}"}
        judged = json.loads(ended.output.splitlines()[-1])
    return {**result, **judged, "status": judge(judged, column.kind)}


def judge(verdict: dict[str, Any], kind: Kind) -> str:
    """``ok``, or ``wrong`` where outputs are farther from the source's than the kind allows."""
    if "problem" in verdict:
        return "wrong"
    rounding = 3 * verdict.get("rounding", 0.0)
    if kind == "exact":
        right = verdict["error"] <= max(EXACT_ERROR, rounding) and verdict["integers"] == 1.0
    elif kind == "approximate":
        right = verdict["error"] <= max(FLOAT16_ERROR, rounding * FLOAT16_UNITS)
    elif kind == "int8":
        warned = any("dB" in warning for warning in verdict["warnings"])
        right = verdict["snr_db"] >= LEAST_INT8_SNR or warned
    else:
        right = True
    return "ok" if right else "wrong"


def _failure(ended: Ended, column: Column) -> str:
    code = ended.code
    if code is None:
        return "timeout"
    if not column.ours:
        return "failed"
    traced = "Traceback (most recent call last)" in ended.errors
    return "internal" if code in (INTERNAL, 1) or code < 0 or traced else "refused"


def _message(lines: Sequence[str], column: Column) -> str:
    """The error and its hint; of another tool, the last line."""
    if not column.ours:
        return lines[-1][:300] if lines else ""
    told = [line for line in lines if line.startswith(("error: ", "hint: "))]
    return " | ".join(told or lines[-2:])[:600]


def _run(line: Sequence[str], folder: Path, limit: float) -> Ended:
    """With a home and a temporary folder of its own."""
    home, scratch = folder / "home", folder / "scratch"
    for place in (home, scratch):
        place.mkdir(exist_ok=True)
    surroundings = {
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "XDG_CACHE_HOME": str(home / "cache"),
        "OMP_NUM_THREADS": "2",
    }
    return run_forked(line, home, surroundings, limit)
