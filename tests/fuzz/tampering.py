"""Files that somebody changed: bytes, JSON values, and what stands in a file's place."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np

from .field_mutations import damaged
from .stumbling_blocks import INTEGERS, NAMES, choice

OUTSIDE = "outside"
"""The name of a folder beside the project, in which nothing must change."""

VALUES = [
    None, True, False, 0, -1, 1e308, "", [], {}, [[]], {"a": 1}, *INTEGERS, *NAMES, f"../{OUTSIDE}/x",
    f"../../{OUTSIDE}/planted", "/", "manifest.json", ".", "..", 10**400, "9" * 5000, "1e999",
]  # fmt: skip


def tamper(rng: np.random.Generator, path: Path, others: list[Path]) -> str:
    """Change the file `path`; in which way.

    Args:
        rng: Where it is drawn from.
        path: A file.
        others: Files whose content may be put in its place.
    """
    ways = [_bytes, _bytes, _cut, _emptied, _appended, _exchanged, _link, _folder, _fifo, _gone]
    if path.suffix == ".json":
        ways += [_json] * 12
    if path.suffix == ".toml":
        ways += [_line] * 12
    way = choice(rng, ways)
    way(rng, path, others)
    return way.__name__.strip("_")


def _bytes(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    path.write_bytes(damaged(rng, path.read_bytes()))


def _cut(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    os.truncate(path, int(rng.integers(path.stat().st_size + 1)))


def _emptied(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    os.truncate(path, 0)


def _appended(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    path.write_bytes(path.read_bytes() + rng.bytes(int(rng.integers(1, 100))))


def _exchanged(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    shutil.copyfile(choice(rng, others), path)


def _link(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    targets = [choice(rng, others), Path("/dev/zero"), Path("/etc/passwd"), Path("nowhere"), path]
    path.unlink()
    path.symlink_to(choice(rng, targets))


def _folder(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def _fifo(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    path.unlink()
    os.mkfifo(path)


def _gone(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    path.unlink()


def _line(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    """A line goes, comes twice, or says something else."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at, how = int(rng.integers(len(lines))), int(rng.integers(4))
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, lines[at])
    else:
        key = (
            lines[at].partition("=")[0] if how == 2 else choice(rng, ["then", "calib", "data", "x"])
        )
        text = json.dumps(choice(rng, [value for value in VALUES if value is not None]))
        lines.insert(at + (how == 3), f"{key} = {text}")
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")


def _json(rng: np.random.Generator, path: Path, others: list[Path]) -> None:
    """One value becomes another, goes, or gets a neighbour."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        _bytes(rng, path, others)
        return
    places = list(_places(document))
    if not places:
        path.write_text(json.dumps(choice(rng, VALUES)), encoding="utf-8")
        return
    holder, key = choice(rng, places)
    how = int(rng.integers(5))
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[choice(rng, NAMES)] = holder.pop(key)
    elif how == 2:
        other, other_key = choice(rng, places)
        holder[key] = json.loads(json.dumps(other[other_key]))
    else:
        holder[key] = choice(rng, VALUES)
    path.write_text(json.dumps(document), encoding="utf-8")


def _places(document):
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    else:
        return
    for key, value in items:
        yield document, key
        yield from _places(value)
