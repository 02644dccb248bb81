"""Vendor code that is asked by one file of JSON and answers by another.

Both halves of it: `ask` in our process, `serve` in the worker's, which is run as

    python -m MODULE request.json --report FILE --failure FILE
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lprc.core.errors import LprcError, UsageError
from lprc.core.process.worker import Progress, WorkerError, end_with_parent, run_worker


class Failure(Exception):
    """In a worker: a failure that the user can do something about.

    Args:
        message: In one line.
        hint: What to do next.
        where: The node that it is about, if one.
        option: The target's option that it is about, if one.
    """

    def __init__(self, message: str, *, hint: str = "", where: str = "", option: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.where, self.option = message, hint, where, option


def ask(
    vendor: str,
    module: str,
    request: Mapping[str, Any],
    scratch: Path,
    *,
    source: str,
    time_limit: float,
    instead: str | None = None,
    progress: Progress | None = None,
    show_messages: bool = False,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Let a worker do what `request` says; its report.

    Args:
        vendor: Whose code it is, for errors.
        module: The worker, which calls `serve`.
        request: JSON data, with absolute paths: the worker runs in `scratch`.
        scratch: A folder for what is not to stay.
        source: The model that the user named, for errors.
        time_limit: Seconds.
        instead: What to do about a failure that says nothing of it.
        progress: Called with steps done and their number.
        show_messages: Whether the worker's standard error is ours.
        environment: Variables besides our own.

    Raises:
        UsageError: The worker refuses an option.
        WorkerError: It failed otherwise, crashed or took too long.
    """
    asked, answer, complaint = (scratch / f"{name}.json" for name in ("request", "answer", "error"))
    asked.write_text(json.dumps(request), encoding="utf-8")
    done = run_worker(
        vendor,
        [module, str(asked), "--report", str(answer), "--failure", str(complaint)],
        where=source,
        time_limit=time_limit,
        complaint=complaint,
        progress=progress,
        show_messages=show_messages,
        environment=environment,
    )
    if not done:
        raise _error(json.loads(complaint.read_text(encoding="utf-8")), source, instead)
    if not answer.is_file():  # vendor code may end the process with code 0
        raise WorkerError(f"{vendor} ended without a result", where=source, hint=instead)
    report: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return report


def serve(description: str, build: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """In a worker: build what the request on the command line says; the exit code.

    Args:
        description: What it does, for ``--help``.
        build: Given the request, returns the report; may raise `Failure` and `LprcError`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("request", type=Path)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--failure", type=Path, required=True)
    arguments = parser.parse_args()
    end_with_parent()
    try:
        report = build(json.loads(arguments.request.read_text(encoding="utf-8")))
    except (Failure, LprcError) as failure:
        complaint = {
            "message": failure.message,
            "hint": failure.hint or "",
            "where": failure.where or "",
            "option": failure.option if isinstance(failure, Failure) else "",
        }
        arguments.failure.write_text(json.dumps(complaint, ensure_ascii=False), encoding="utf-8")
        return 1
    arguments.report.write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
    return 0


def _error(complaint: dict[str, str], source: str, instead: str | None) -> LprcError:
    message, hint = complaint["message"], complaint["hint"] or None
    if complaint["option"]:
        return UsageError(message, where=complaint["option"], hint=hint)
    place = f" at {complaint['where']}" if complaint["where"] else ""
    return WorkerError(message + place, where=source, hint=hint or instead)
