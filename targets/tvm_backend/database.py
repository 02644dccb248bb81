"""Tuning records: what was measured of which kernel on which target.

Of a trace only the parameters are read, which lprc writes into it as the annotation
``lprc.parameters``, and they count only where they are one of the schedules that the task's own
design space has. So a file can make a kernel slower, never wrong. A record belongs to a task where
the structural hash, the module, the arguments and the target are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tvm.s_tir.meta_schedule.database import TuningRecord

from lprc.targets.tvm_backend import spaces
from lprc.targets.tvm_backend.record_files import (
    Measurement,
    Writer,
    canonical,
    read_folder,
    target_document,
)
from lprc.targets.tvm_backend.tasks import Task, find_tasks


class Records:
    """The measurements of schedules; close it, or use it in a ``with``.

    Args:
        read: Folders to read.
        written: A folder to read and add to, which is made if need be.

    Raises:
        Failure: The folder can't be written, or another process writes it.
    """

    def __init__(self, read: Iterable[Path] = (), written: Path | None = None) -> None:
        self._folders = [read_folder(Path(each)) for each in read]
        self._writer = None if written is None else Writer(Path(written))
        if self._writer is not None:
            self._folders.append(self._writer.folder)
        self._unwritten: dict[tuple[str, str], list[Measurement]] = {}

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write the folder."""
        if self._writer is not None:
            self._writer.close()

    def of(self, task: Task, target: Any) -> list[Measurement]:
        """The measurements of a task on a target, in the order of the files."""
        wanted = target_document(target)
        found = []
        for folder in self._folders:
            found += folder.measurements(task, wanted)
        return found + self._unwritten.get((task.key, canonical(wanted)), [])

    def best(self, task: Task, target: Any) -> Any | None:
        """The parameters of the fastest schedule; None where nothing was measured."""
        legal = {spaces.text(each): each for each in spaces.candidates(task, target)}
        best: Measurement | None = None
        for each in self.of(task, target):
            if each.seconds is None or each.parameters not in legal:
                continue
            if best is None or best.seconds is None or each.seconds < best.seconds:
                best = each
        return None if best is None else legal[best.parameters]

    def chosen(self, module: Any, target: Any) -> dict[str, Any]:
        """Parameters by the name of the kernel, for those of `module` that have records."""
        chosen = {}
        for task in find_tasks(module):
            best = self.best(task, target)
            if best is not None:
                chosen.update(dict.fromkeys(task.names, best))
        return chosen

    def add(self, task: Task, target: Any, trace: Any, measurement: Measurement) -> None:
        """Keep a measurement; it is in the file when this returns."""
        if self._writer is None:
            key = (task.key, canonical(target_document(target)))
            self._unwritten.setdefault(key, []).append(measurement)
            return
        seconds = None if measurement.seconds is None else [measurement.seconds]
        record = TuningRecord(trace, task.workload, seconds, target, task.args_info)
        self._writer.add(task, record.as_json(), measurement)


def open_records(read: Iterable[str | Path], written: str | Path | None = None) -> Records:
    """Several folders to read, and one that is added to."""
    return Records([Path(each) for each in read], None if written is None else Path(written))
