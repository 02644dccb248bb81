"""A network's artefacts: score, size and latency on each target."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from _segmentation.commands import document, once


@dataclass
class Measured:
    """What is told of one network.

    Attributes:
        name: Of the row.
        parameters: As trained; Convs that the pyramid's levels share count once.
        macs: Multiply-accumulates of an image.
        score: Mean IoU of the float graph on ``val``, and `interval` around it.
        interval: 95 %, by bootstrap over scenes.
        scores: Mean IoU by target.
        sizes: Bytes by target.
        latencies: Median milliseconds by target, all targets in turn.
    """

    name: str
    parameters: int
    macs: int
    score: float
    interval: tuple[float, float]
    scores: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    latencies: dict[str, float] = field(default_factory=dict)


def measured(name: str, model: Path, arguments: argparse.Namespace) -> Measured:
    """Compile for each target, evaluate, and time all artefacts in turn."""
    val = ["--data", arguments.data / "val"]
    statistics = document("inspect", model)["statistics"]
    whole = document("eval", model, *val, "--task", arguments.task)
    row = Measured(
        name, statistics["parameters"], statistics["macs"], whole["value"], whole["interval"]
    )
    folders = {target: artefact(name, model, target, arguments) for target in arguments.targets}
    for target, folder in folders.items():
        row.scores[target] = document("eval", folder, *val)["value"]
    timed = document("bench", *folders.values(), "--threads", str(arguments.threads))
    for target, timing in zip(folders, timed, strict=True):
        row.latencies[target], row.sizes[target] = timing["median_ms"], timing["size_bytes"]
    return row


def artefact(name: str, model: Path, target: str, arguments: argparse.Namespace) -> Path:
    """The artefact's folder; calibrated on the images that are trained on."""
    out: Path = arguments.state / f"{name}@{target}"
    calib = ["--calib", arguments.data / "train" / "images"] if "int8" in target else []
    shape = ["--input-shape", "1,?,?,?"] if target.startswith("tvm") else []
    options = [*calib, *shape, "--task", arguments.task, "-q"]
    return once(out, ["compile", model, "--target", target, "-o", out, *options])
