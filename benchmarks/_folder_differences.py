"""What differs between the files of two folders, to the value for JSON and to the line for text."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

SHOWN = 4
"""Values within one JSON file that are named; the others are counted."""
TEXT = frozenset({"", ".py", ".txt", ".xml", ".cpp", ".md"})
"""Suffixes of files whose lines are compared."""


def differences(before: Path, after: Path) -> list[str]:
    """One line for each file that is in one folder only or whose bytes differ."""
    files_before, files_after = (
        {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        for folder in (before, after)
    )
    lines = [f"{name}: only before" for name in sorted(files_before - files_after)]
    lines += [f"{name}: only after" for name in sorted(files_after - files_before)]
    lines += [
        f"{name}: {_difference(before / name, after / name)}"
        for name in sorted(files_before & files_after)
        if not filecmp.cmp(before / name, after / name, shallow=False)
    ]
    return lines


def _difference(before: Path, after: Path) -> str:
    """How the bytes of two files differ."""
    contents = before.read_bytes(), after.read_bytes()
    if before.suffix == ".json":
        return _values_differ(*map(json.loads, contents))
    if before.suffix in TEXT:
        texts = [content.decode(errors="replace").splitlines(keepends=True) for content in contents]
        for number, (old, new) in enumerate(zip_longest(*texts), start=1):
            if old != new:
                return f"line {number}: {_short(old)} -> {_short(new)}"
    first = next(at for at, (old, new) in enumerate(zip_longest(*contents)) if old != new)
    return f"{len(contents[0])} -> {len(contents[1])} bytes, of which number {first} differs first"


def _values_differ(before: Any, after: Any) -> str:
    changes = list(_changes(before, after, ""))
    if not changes:
        return "the same values, written otherwise"
    rest = f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return "; ".join(changes[:SHOWN]) + rest


def _changes(before: Any, after: Any, place: str) -> Iterator[str]:
    """The places within two JSON values that differ, with both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            if key in before and key in after:
                yield from _changes(before[key], after[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}: only {'before' if key in before else 'after'}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for position, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _changes(old, new, f"{place}[{position}]")
    elif (type(before), before) != (type(after), after):
        yield f"{place}: {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
