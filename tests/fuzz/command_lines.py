"""Command lines to hand a mutated model to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .campaign import exact_passes
from .stumbling_blocks import choice

LOSSY = (
    "convert-fp16", "quantize-weights", "quantize-weights{bits=4}", "sparsify", "prune-channels",
    "insert-qdq", "calibrate", "equalize", "smooth-quant", "correct-bias", "per-sample-mean",
    "set-batch{size=2}", "freeze-initializers", "onnx-optimizer", "simplify",
)  # fmt: skip
TARGETS = ("onnx-qdq", "ort-fp32", "ort-fp32", "ort-int8")
EXTRAS = (
    [], [], [], [], ["-v"], ["--json"], ["--check-passes"], ["--print-changed"],
    ["--print-changed=diff"], ["--stats"], ["--time-passes"], ["--print-before", "fold-bn"],
    ["--seed", "7"], ["--dim", "N=2"],
)  # fmt: skip
SHARES = {
    "onnx": 0.56, "target": 0.09, "vendor": 0.002, "opt exact": 0.16, "opt": 0.06, "inspect": 0.05,
    "diff": 0.04, "explain": 0.02, "bisect": 0.018,
}  # fmt: skip
JUDGED = ("onnx", "opt exact")
"""Kinds whose output promises to compute what the model does."""


def draw(rng: np.random.Generator, model: Path, other: Path, out: Path) -> tuple[str, list[str]]:
    """The kind of a command, and the command.

    Args:
        rng: Where it is drawn from.
        model: The mutated model's file.
        other: Another model's, to compare with.
        out: What to write.
    """
    kind = str(rng.choice(list(SHARES), p=np.array(list(SHARES.values())) / sum(SHARES.values())))
    verify = str(rng.choice(["final", "each", "off"], p=[0.8, 0.12, 0.08]))
    running = [*choice(rng, EXTRAS), "--verify", verify, "--no-cache"]
    write = ["-o", str(out)]
    if kind == "onnx":
        return kind, ["compile", str(model), "--target", "onnx", *write, *running]
    if kind == "target":
        target = choice(rng, TARGETS)
        return kind, ["compile", str(model), "--target", target, *write, *running]
    if kind == "vendor":
        return kind, ["compile", str(model), "--target", "ov-fp32", *write, *running]
    if kind == "opt exact":
        passes = _some(rng, exact_passes())
        return kind, ["opt", str(model), "--passes", passes, "-o", f"{out}.onnx", *running]
    if kind == "opt":
        passes = _some(rng, [*LOSSY, *exact_passes()])
        return kind, ["opt", str(model), "--passes", passes, "-o", f"{out}.onnx", *running]
    if kind == "inspect":
        return kind, ["inspect", str(model), *choice(rng, ([], ["--layers"], ["--json"]))]
    if kind == "diff":
        pair = [str(model), str(other)]
        pair = pair if rng.random() < 0.5 else pair[::-1]
        more = choice(rng, ([], ["--json"], ["--summary"], ["--html", f"{out}.html"]))
        return kind, ["diff", *pair, *more]
    if kind == "explain":
        return kind, ["explain", str(model), choice(rng, ["y", "n1", "x", "v2", "no such"])]
    return kind, ["bisect", str(model), "--passes", _some(rng, exact_passes())]


def _some(rng: np.random.Generator, passes: list[str]) -> str:
    count = int(rng.integers(1, 9))
    return ",".join(choice(rng, passes) for _ in range(count))
