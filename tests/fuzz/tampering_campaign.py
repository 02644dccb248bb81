"""The campaign `tampering`: changed caches, artefacts, build states and settings mislead nobody."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from . import forked_runs
from .children import Report
from .forked_runs import Surroundings
from .project_campaign import ProjectCampaign, made_project, run_trials
from .projects import content, copied
from .stumbling_blocks import choice
from .tampering import OUTSIDE, tamper

COMPILE = ["compile", "model.onnx", "--target", "onnx", "-o", "out", "-q"]
READERS = (
    ["verify", "made"], ["verify", "made", "--numerics"], ["inspect", "made"], ["sbom", "made"],
    ["explain", "made", "first"], ["embed", "made", "-o", "embedded.c"],
    ["diff", "made", "model.onnx"], ["bench", "made", "--rounds", "1", "--warmup", "0"], [*COMPILE[:-2], "made"],
)  # fmt: skip
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 71}


class TamperingCampaign(ProjectCampaign):
    """Files that somebody changed.

    Args:
        folder: Where projects are made; it is left empty.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_work, folder, part=500)


def _work(report: Report, seeds: range, folder: Path) -> None:
    with made_project(folder) as template:
        for command in (
            ["build", "-q"],
            ["opt", "model.onnx", "--passes", "fold-bn", "-o", "o.onnx"],
        ):
            code, said = forked_runs.run(command, template)
            assert code == 0, said
        run_trials(report, seeds, lambda seed, count: _trial(seed, template, count))


def _trial(seed: int, template: Surroundings, count: Counter[str]) -> str:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(prefix="tampered-", dir=template.folder.parent) as there:
        place = Path(there)
        where = copied(template, place / "trial")
        outside = place / "trial" / OUTSIDE
        outside.mkdir()
        (outside / "mine.txt").write_text("mine", encoding="utf-8")
        before = content(outside)
        kind = choice(rng, ("cache", "cache", "artefact", "artefact", "project"))
        files = _files(where, kind)
        changed = []
        for _ in range(int(rng.integers(1, 4))):
            path = choice(rng, files)
            if path.is_file() and not path.is_symlink():
                everything = [file for file in files if file.is_file() and file != path]
                way = tamper(rng, path, everything)
                changed.append(f"{path.relative_to(place / 'trial')} {way}")
        count[f"{kind}: {len(changed)} changed"] += 1
        command, wrong = _judged(rng, kind, where, template, count)
        if not wrong and content(outside) != before:
            wrong = "something was written outside"
        return f"{' '.join(command)}: {wrong} ({'; '.join(changed)})" if wrong else ""


def _files(where: Surroundings, kind: str) -> list[Path]:
    if kind == "cache":
        roots = [where.cache]
    elif kind == "artefact":
        roots = [where.folder / "made"]
    else:
        roots = [where.folder / "build"]
    files = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
    hidden = [path for path in where.folder.glob(".lprc*") if path.is_file()]
    return [*files, *hidden, where.folder / "lprc.toml"] if kind == "project" else files


def _judged(
    rng: np.random.Generator, kind: str, where: Surroundings, template: Surroundings, count
) -> tuple[list[str], str]:
    """Run what reads the files; the command, and what is wrong."""
    untouched = kind != "cache"
    command = (
        COMPILE if kind == "cache" else ["build"] if kind == "project" else choice(rng, READERS)
    )
    altered = _altered(where, template)
    code, said = forked_runs.run(command, where)
    count[f"{command[0]}: exit {code}"] += 1
    if code not in DOCUMENTED:
        return command, f"exit {code}: {said[-400:]}"
    if kind == "cache":
        right = code == 0 and content(where.folder / "out") == content(template.folder / "made")
        return command, "" if right else f"exit {code}, or another artefact: {said[-300:]}"
    if command[0] == "verify" and code == 0 and altered:
        return command, f"{altered} is another, and verified"
    if kind == "project" and code == 0 and untouched:
        return command, _wrong_builds(where, template)
    return command, ""


def _altered(where: Surroundings, template: Surroundings) -> str:
    """A file of the artefact that is no longer what the manifest was written for."""
    for name in ("model.onnx", "lowered.onnx"):
        if content(where.folder / "made" / name) != content(template.folder / "made" / name):
            return name
    return ""


def _wrong_builds(where: Surroundings, template: Surroundings) -> str:
    """Builds whose settings are as they were, and which are not what those make."""
    settings = (where.folder / "lprc.toml").read_bytes()
    if settings != (template.folder / "lprc.toml").read_bytes():
        return ""
    same = content(where.folder / "build") == content(template.folder / "build")
    return "" if same else "the builds are other ones, and said to be fresh"
