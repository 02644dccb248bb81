"""Studies that are taken up again as long as nothing that decides them has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lprc.compiler.searching.search import RESULT, Limits
from lprc.compiler.searching.study import ARTEFACTS, DATABASE, REQUEST, Study, locked
from lprc.core.files.json_text import parse_json
from lprc.core.files.regular import read_regular

PAGES = ("front.html", "front.svg", "sensitivities.json")


def drop_another(folder: Path, request: Mapping[str, Any]) -> None:
    """Remove a study of another request, or of another place; what else is there stays.

    Args:
        folder: The study's, which may not be there.
        request: What is asked now, with where.

    Raises:
        UsageError: Another process works on it.
        OutputError: It can't be removed.
    """
    file = folder / REQUEST
    if not file.is_file() or _read(file) == json.loads(json.dumps(dict(request))):
        return
    with locked(folder):
        shutil.rmtree(folder / ARTEFACTS, ignore_errors=True)
        for name in (RESULT, *PAGES, DATABASE, f"{DATABASE}-journal"):
            (folder / name).unlink(missing_ok=True)
        file.unlink()  # the last: without it, what is left is no study


def limits_left(limits: Limits, study: Study) -> Limits:
    """What a study has not spent of its limits."""
    trials = None if limits.trials is None else max(0, limits.trials - len(study.trials()))
    return Limits(max(0.0, limits.seconds - study.seconds), trials)


def result_of(study: Study, limits: Limits, request: str) -> dict[str, Any] | None:
    """The result of a study that had these limits; None where it is none, or not whole.

    Args:
        study: With its lock.
        limits: What is asked.
        request: The request's id.
    """
    document = _read(study.folder / RESULT)
    asked = {"seconds": limits.seconds, "trials": limits.trials}
    if document is None or (document.get("id"), document.get("limits")) != (request, asked):
        return None
    numbers = [number for number in document["picks"].values() if number is not None]
    return document if all(study.artefact(number).is_dir() for number in numbers) else None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document = parse_json(read_regular(file))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
