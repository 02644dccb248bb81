"""Mutated models through the command line: no internal error, no end by a signal, nothing wrong."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import command_lines, front_door, oracle
from .bases import Bases
from .mutant import Mutant, mutant

_RUNTIMES = "the artefact's outputs are not the lowered graph's"
"""ONNX Runtime with its own rewrites computes what it does not without them; no pass is at fault."""


LOUD = "refused for a broken promise: "
"""How that begins which is worth a look, and broke no promise to the user."""


@dataclass(frozen=True)
class Trial:
    """A mutated model, the command it is given to, and what came of it."""

    seed: int
    made: Mutant
    kind: str
    arguments: list[str]


def write_trial(seed: int, bases: Bases, scratch: Path) -> Trial:
    """Write the files of `seed` into the empty folder `scratch`."""
    rng = np.random.default_rng(seed)
    made = mutant(rng, bases)
    model, other = scratch / "model.onnx", scratch / "other.onnx"
    model.write_bytes(made.data)
    _, base = bases.draw(rng)
    other.write_bytes(base.SerializeToString())
    (scratch / "weights.bin").write_bytes(rng.bytes(4096))
    kind, arguments = command_lines.draw(rng, model, other, scratch / "out")
    return Trial(seed, made, kind, arguments)


def run_trial(trial: Trial, scratch: Path, count: Counter[str]) -> str:
    """Run it; what is wrong, or nothing."""
    ending = front_door.run(trial.arguments, scratch)
    count[f"exit {ending.code}"] += 1
    if ending.code == 5 and trial.kind in command_lines.JUDGED and _RUNTIMES not in ending.err:
        return LOUD + ending.err[:300]
    if ending.wrong or ending.code != 0 or trial.kind not in command_lines.JUDGED:
        return ending.wrong
    out = scratch / "out"
    made = out / "lowered.onnx" if trial.kind == "onnx" else scratch / "out.onnx"
    verdict, what = oracle.silently_wrong(scratch / "model.onnx", made, trial.seed)
    count[f"outputs {verdict}"] += 1
    return f"silently wrong: {what}" if verdict == "different" else ""


def run(seeds, bases: Bases, count: Counter[str], started=lambda seed: None):
    """Yield what is wrong of the models of `seeds`: the trial, what, and its files' folder."""
    for seed in seeds:
        started(seed)
        with tempfile.TemporaryDirectory(prefix="lprc-fuzz-") as folder:
            scratch = Path(folder)
            trial = write_trial(seed, bases, scratch)
            count[f"command {trial.kind}"] += 1
            wrong = run_trial(trial, scratch, count)
            if wrong:
                yield trial, wrong, scratch


def keep(trial: Trial, wrong: str, scratch: Path, folder: Path) -> Path:
    """Put the files of what is wrong beside what was said, into `folder`."""
    place = folder / f"model-{trial.seed}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("model.onnx", "other.onnx", "weights.bin"):
        if (scratch / name).is_file():
            shutil.copy(scratch / name, place / name)
    arguments = [text.replace(str(scratch), ".") for text in trial.arguments]
    (place / "what.txt").write_text(
        f"{wrong}\nlprc {' '.join(arguments)}\nmade by: {trial.made.story}\n", encoding="utf-8"
    )
    return place
