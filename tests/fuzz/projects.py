"""A small project folder: a model, samples, lprc.toml, and what each command makes of them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from . import forked_runs
from .forked_runs import Surroundings
from .handmade import handmade

TOML = """[model.network]
file = "model.onnx"
[build.first]
model = "network"
target = "onnx"
[build.second]
model = "network"
target = "ort-fp32"
"""

_TUNE = ["finetune", "model.onnx", "--data", "samples.npz", "--loss", "distillation", "--teacher",
         "model.onnx", "--steps", "2", "--batch", "4", "--evaluate-every", "1"]  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A command line that writes something.

    Attributes:
        arguments: It.
        outputs: What it writes, in the current folder.
        other: A command that writes something else there; none where nothing may stand there.
        share: How often it is drawn; those that take long less often.
    """

    arguments: list[str]
    outputs: tuple[str, ...]
    other: list[str] | None = None
    share: float = 1.0


JOBS = {
    "compile": Job(
        ["compile", "model.onnx", "--target", "onnx", "-o", "out", "-q"], ("out",),
        ["compile", "model.onnx", "--target", "onnx", "--passes", "lift-constants", "-o", "out", "-q"],
    ),
    "compile, each pass verified": Job(
        ["compile", "model.onnx", "--target", "ort-fp32", "--verify", "each", "-o", "out", "--no-cache"],
        ("out",),
        ["compile", "model.onnx", "--target", "onnx", "--passes", "lift-constants", "-o", "out", "-q"],
    ),
    "opt": Job(
        ["opt", "model.onnx", "--passes", "fold-bn", "-o", "opt.onnx"], ("opt.onnx",),
        ["opt", "model.onnx", "--passes", "lift-constants", "-o", "opt.onnx"],
    ),
    "build": Job(["build"], ("build",), share=0.4),
    "finetune": Job([*_TUNE, "-o", "tuned.onnx"], ("tuned.onnx",),
                    [*_TUNE, "--seed", "7", "-o", "tuned.onnx"], share=0.3),
    "finetune with a checkpoint": Job(
        [*_TUNE, "--checkpoint", "state.ckpt", "-o", "tuned.onnx"], ("tuned.onnx",), share=0.3,
    ),
    "sweep": Job(
        ["sweep", "model.onnx", "--passes", "convert-opset{version=21,minimum=21},quantize-weights{bits={}}",
         "--values", "4,8", "-o", "swept"], ("swept",), share=0.6,
    ),
    "embed": Job(["embed", "made", "-o", "embedded.c"], ("embedded.c", "embedded.h"),
                 ["embed", "made", "-o", "embedded.c", "--symbol", "other"]),
    "cache clear": Job(["cache", "clear"], ()),
    "cache prune": Job(["cache", "prune", "--size", "1kB"], ()),
}  # fmt: skip


def make_project(where: Surroundings) -> None:
    """Write the model, the samples and lprc.toml, and compile once, so that the cache has entries."""
    for folder in (where.folder, where.cache, where.scratch):
        folder.mkdir(parents=True, exist_ok=True)
    onnx.save(handmade()["network"], where.folder / "model.onnx")
    samples = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)
    np.savez(where.folder / "samples.npz", x=samples)
    (where.folder / "lprc.toml").write_text(TOML, encoding="utf-8")
    code, said = forked_runs.run(
        ["compile", "model.onnx", "--target", "onnx", "-o", "made", "-q"], where
    )
    assert code == 0, said


def content(path: Path) -> str:
    """A digest of a file or folder: names, kinds, and bytes but those of manifests; ``""`` of none.

    Manifests say how long things took.
    """
    if not path.exists():
        return ""
    digest = hashlib.sha256()
    for inner in [path] if path.is_file() else sorted(path.rglob("*")):
        name = inner.relative_to(path).as_posix()
        digest.update(f"{name} {inner.is_dir()}\n".encode())
        if inner.is_file() and inner.name not in ("manifest.json", "passes.json"):
            digest.update(inner.read_bytes())
    return digest.hexdigest()


def scratch_left(*folders: Path) -> Iterator[Path]:
    """What lprc made on the way and did not remove."""
    for folder in folders:
        yield from folder.rglob(".lprc-*")


def copied(template: Surroundings, place: Path) -> Surroundings:
    """A copy of a project with its cache, in the folder `place`."""
    where = Surroundings(place / "project", place / "cache", place / "tmp")
    shutil.copytree(template.folder, where.folder, symlinks=True)
    shutil.copytree(template.cache, where.cache, symlinks=True)
    where.scratch.mkdir()
    return where
