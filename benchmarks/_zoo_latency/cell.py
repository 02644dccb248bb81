"""One cell: an artefact and its peer, made where they are not there yet, and measured in turns."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _zoo.cell import sample_folders
from _zoo.columns import COLUMNS, Place
from _zoo.forked import Ended, run_forked

from _zoo_latency.bars import Bar

TURNS = Path(__file__).with_name("turns.py")
COMPILE_SECONDS = 400.0
MEASURE_SECONDS = 300.0


@dataclass(frozen=True)
class Settings:
    """How cells are measured.

    Attributes:
        zoo: The folder with ``models`` and ``samples``, where artefacts are kept too.
        threads: Of the runtimes; with one, processor time is measured.
        seconds: For how long the two of a cell take turns.
        repeats: Measurements of a cell whose first one misses its bar, each in a new process.
        again: Whether artefacts that are there are compiled again; peers never are.
    """

    zoo: Path
    threads: int
    seconds: float
    repeats: int
    again: bool


def measure_cell(network: str, bar: Bar, settings: Settings) -> dict[str, Any]:
    """``network``, ``column``, ``ratio``, ``ratios``, ``ours_ms`` and ``peer_ms``.

    ``ratio`` is the median of all measurements; ``problem`` says what could not be made or run.
    """
    source = (settings.zoo / "models" / f"{network}.onnx").resolve()
    folder = (settings.zoo / "latency" / network).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    calibration, test = sample_folders(source, settings.zoo / "samples")
    cell: dict[str, Any] = {
        "network": network, "column": bar.target, "threads": settings.threads,
    }  # fmt: skip
    place = Place(source, calibration.resolve(), folder / bar.target)
    ours, problem = _made(bar.target, place, folder, settings.again)
    if problem:
        return {**cell, "problem": problem}
    peer = source
    if bar.peer_column:
        peer, problem = _made(bar.peer_column, place, folder, False)
        if problem:
            return {**cell, "problem": f"{bar.peer}: {problem}"}
    sample = sorted(test.resolve().glob("*.npz"))[0]
    names = [str(ours), f"{peer}@{bar.runtime}", str(sample)]
    line = [str(TURNS), *names, str(settings.seconds), str(settings.threads)]
    measured: list[dict[str, float]] = []
    while not measured or (measured[0]["ratio"] > bar.most and len(measured) < settings.repeats):
        ended = _run(line, folder, MEASURE_SECONDS)
        if ended.code != 0:
            return {**cell, "problem": _last_line(ended)}
        measured.append(json.loads(ended.output.splitlines()[-1]))
    medians = {
        key: round(statistics.median(turn[key] for turn in measured), 4)
        for key in ("ratio", "ours_ms", "peer_ms")
    }
    return {**cell, **medians, "ratios": [round(turn["ratio"], 4) for turn in measured]}


def _made(column: str, place: Place, folder: Path, again: bool) -> tuple[Path, str]:
    """The artefact of a column of the zoo, and why there is none."""
    line, artefact = COLUMNS[column].command(place)
    if artefact.exists() and not again:
        return artefact, ""
    if COLUMNS[column].ours:
        # Whether it is right is the zoo's question.
        line = [*line, "--verify", "off"]
    ended = _run(line, folder, COMPILE_SECONDS)
    return artefact, "" if ended.code == 0 else _last_line(ended)


def _last_line(ended: Ended) -> str:
    if ended.code is None:
        return "time limit"
    lines = [line for line in ended.errors.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or ["no answer"])[-1][:300]


def _run(line: Sequence[str], folder: Path, limit: float) -> Ended:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    surroundings = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "XDG_CACHE_HOME": str(home),
        "OMP_NUM_THREADS": "2",
    }
    return run_forked(line, home, surroundings, limit)
