"""One row made, judged and measured; what came of it as JSON data."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from _published.contestants import built
from _published.rows import BASELINES, Row
from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.measure.evaluation import evaluate, interface_of, sample_inputs
from lprc.core.tasks.confidence import wilson
from lprc.core.tasks.task_file import task_choice

LATENCY = Path(__file__).with_name("latency.py")


@dataclass(frozen=True)
class Settings:
    """Where things are, and how long to measure.

    Attributes:
        model: The raw export.
        weights: The checkpoint that it was made from.
        calibration: Images to calibrate with.
        data: Labelled images.
        state: A folder for artefacts and results.
        seconds: Of turns a row.
    """

    model: Path
    weights: Path
    calibration: Path
    data: Path
    state: Path
    seconds: float


def measured(row: Row, settings: Settings) -> dict[str, Any]:
    """Build, evaluate and time a row."""
    began = time.perf_counter()
    out = settings.state / "rows" / row.name.replace(":", "-")
    out.mkdir(parents=True, exist_ok=True)
    for command in row.commands:
        _run(command.format(**_places(settings, out)))
    artefact = row.artefact.format(out=out)
    cell: dict[str, Any] = {"row": row.name, "date": time.strftime("%Y-%m-%d")}
    cell["load"] = round(os.getloadavg()[0], 1)
    cell |= _accuracy(artefact, settings)
    cell |= _size(row, artefact, settings, out)
    cell |= _latency(row, artefact, settings)
    return cell | {"seconds": round(time.perf_counter() - began)}


def commands_of(row: Row) -> list[str]:
    """What makes the row alone, as it is typed."""
    names = {
        "model": "lprnet.onnx", "calib": "plates/calib", "data": "plates/labelled",
        "out": f"build/{row.name}", "weights": "weights.pth",
    }  # fmt: skip
    return [f"lprc {command.format(**names)}" for command in row.commands]


def behind(row: Row, cell: dict[str, Any]) -> list[str]:
    """In what the row is behind what was published, or its peer; empty where it is in nothing.

    Latencies of different machines are compared as ratios to PyTorch eager on the same one.
    """
    if row.name == "baseline":
        return []
    places = []
    interval = cell.get("interval")
    for report, (accuracy, milliseconds, size) in row.published.items():
        base_milliseconds = BASELINES[report][1]
        if interval is not None and accuracy > 100 * interval[1]:
            places.append(f"report {report} in accuracy")
        ratio = cell.get("to_eager")
        if ratio is not None and ratio > milliseconds / base_milliseconds:
            places.append(f"report {report} in latency")
        if size is not None and cell.get("bytes") and cell["bytes"] > 1e6 * size:
            places.append(f"report {report} in size")
    if (cell.get("to_peer") or 0.0) > 1.0:
        places.append("the peer in latency")
    return places


def _places(settings: Settings, out: Path) -> dict[str, str]:
    return {
        "model": str(settings.model), "calib": str(settings.calibration), "out": str(out),
        "data": str(settings.data),
    }  # fmt: skip


def _run(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lprc", *shlex.split(command), "-q"], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"lprc {command}: {done.stderr.strip()[-500:]}")


def _accuracy(artefact: str, settings: Settings) -> dict[str, Any]:
    """Plates right on the labelled images, with Wilson's interval of 95 %."""
    if artefact.startswith("tvm:"):
        return {}  # the same float32 graph as the raw export, a minute of it
    name = str(settings.model) if artefact == "torch:eager" else artefact
    evaluation = evaluate(open_artifact(name), settings.data)
    interval = wilson(evaluation.accuracy * evaluation.total, evaluation.total)
    return {
        "accuracy": evaluation.accuracy,
        "interval": [interval.low, interval.high],
        "n": evaluation.total,
    }


def _size(row: Row, artefact: str, settings: Settings, out: Path) -> dict[str, Any]:
    if row.deployed:
        place = row.deployed.format(out=out, weights=settings.weights)
        return {"bytes": Path(place).stat().st_size}
    if ":" in artefact:
        return {}
    return {"bytes": open_artifact(artefact).size_bytes}


def _latency(row: Row, artefact: str, settings: Settings) -> dict[str, Any]:
    """Milliseconds, and ratios to PyTorch eager and to the peer, all measured in turns."""
    contestants = ["torch:eager"]
    contestants += [] if artefact == "torch:eager" else [artefact]
    if row.peer is not None:
        peers = settings.state / "peers"
        contestants.append(built(row.peer[1], peers, settings.model, settings.calibration))
    with tempfile.TemporaryDirectory() as folder:
        sample, asked = Path(folder) / "sample.npz", Path(folder) / "settings.json"
        np.savez(sample, **_sample(settings))
        request = {
            "sample": str(sample),
            "weights": str(settings.weights),
            "model": str(settings.model),
            "contestants": contestants,
            "seconds": settings.seconds,
        }
        asked.write_text(json.dumps(request), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(LATENCY), str(asked)],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"},
        )
    if done.returncode != 0:
        raise RuntimeError(f"latency of {row.name}: {done.stderr.strip()[-500:]}")
    timing = json.loads(done.stdout.splitlines()[-1])
    ours = 0 if artefact == "torch:eager" else 1
    cell = {"ms": timing["ms"][ours], "eager_ms": timing["ms"][0], "turns": timing["turns"]}
    cell["to_eager"] = timing["to_first"][ours]
    if row.peer is not None:
        cell["peer_ms"] = timing["ms"][-1]
        cell["to_peer"] = timing["to_first"][ours] / timing["to_first"][-1]
    return cell


def _sample(settings: Settings) -> dict[str, np.ndarray]:
    """The first image that is calibrated with, as the network takes it."""
    runner = open_artifact(str(settings.model)).runner(threads=1)
    interface = interface_of(runner, str(settings.model))
    task = task_choice(None).for_images(interface)
    return sample_inputs(task, interface, task.unlabelled(settings.calibration)[0])
