"""Files of tuning records in MetaSchedule's JSONDatabase form, read as data.

A folder holds ``database_workload.json`` (a line ``[structural hash, module]`` for each task) and
``database_tuning_record.json`` (a line ``[index of the task, [trace, seconds, target, arguments]]``
for each measurement; ``null`` seconds: it failed). TVM's own tools read them. Lines that are none
are passed over: the last one of a run that was killed, for instance.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm_ffi
from tvm.s_tir.meta_schedule.database import Workload
from tvm.s_tir.meta_schedule.utils import _json_de_tvm

from lprc.core.process.exchange import Failure
from lprc.targets.tvm_backend.spaces import ANNOTATION
from lprc.targets.tvm_backend.tasks import Task

WORKLOADS, MEASUREMENTS = "database_workload.json", "database_tuning_record.json"


@dataclass(frozen=True)
class Measurement:
    """One candidate that was measured.

    Attributes:
        parameters: Its schedule's, as `spaces.text` writes them.
        seconds: Of the fastest run; None where it failed.
    """

    parameters: str
    seconds: float | None


def target_document(target: Any) -> dict[str, Any]:
    """A target as JSON data."""
    document: dict[str, Any] = _json_de_tvm(target.export())
    return document


@dataclass
class _Line:
    """A measurement as a file has it."""

    workload: int
    target: str
    arguments: str
    measurement: Measurement


class Folder:
    """Workloads and measurements of one folder."""

    def __init__(self, workloads: list[Any], lines: list[_Line]) -> None:
        self.workloads = workloads
        self._lines: dict[tuple[int, str, str], list[Measurement]] = {}
        self._indices: dict[str, int | None] = {}
        for line in lines:
            self.keep(line)

    def keep(self, line: _Line) -> None:
        """Add a measurement."""
        key = (line.workload, line.target, line.arguments)
        self._lines.setdefault(key, []).append(line.measurement)

    def measurements(self, task: Task, target: dict[str, Any]) -> list[Measurement]:
        """Those of a task on a target."""
        index = self.index(task)
        if index is None:
            return []
        return self._lines.get((index, canonical(target), canonical(_arguments(task))), [])

    def index(self, task: Task) -> int | None:
        """Which of the workloads the task is."""
        if task.key not in self._indices:
            same = (i for i, each in enumerate(self.workloads) if _is_workload(each, task))
            self._indices[task.key] = next(same, None)
        return self._indices[task.key]

    def add_workload(self, task: Task) -> int:
        """A workload that is not there yet."""
        self.workloads.append(list(task.workload_document))
        self._indices[task.key] = len(self.workloads) - 1
        return len(self.workloads) - 1


class Writer:
    """The files of a folder that is added to: whole lines only, and by one process only."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / "lock").open("w", encoding="utf-8")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _mend(path)
            self._workloads = (path / WORKLOADS).open("a", encoding="utf-8")
            self._measurements = (path / MEASUREMENTS).open("a", encoding="utf-8")
        except BlockingIOError as error:
            raise Failure(
                f"another process tunes into {path}", option="tuning-db", hint="name another"
            ) from error
        except OSError as error:
            raise Failure(f"can't write {path}: {error.strerror}", option="tuning-db") from error
        self.folder = read_folder(path)

    def close(self) -> None:
        """Let another process write."""
        for each in (self._workloads, self._measurements, self._lock):
            each.close()

    def add(self, task: Task, record: Any, measurement: Measurement) -> None:
        """Write a measurement; it is in the file when this returns."""
        index = self.folder.index(task)
        if index is None:
            index = self.folder.add_workload(task)
            _write_line(self._workloads, task.workload_document)
        _write_line(self._measurements, [index, record])
        target, arguments = canonical(record[2]), canonical(record[3])
        self.folder.keep(_Line(index, target, arguments, measurement))


def _write_line(file: Any, document: Any) -> None:
    file.write(json.dumps(document, separators=(",", ":")) + "\n")
    file.flush()


def _mend(folder: Path) -> None:
    """Take away the tail of a line that a killed process left, and the records that refer to it.

    The next workload gets the number of the one that is gone: its records would be that one's.
    """
    for name in (WORKLOADS, MEASUREMENTS):
        path = folder / name
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if name == MEASUREMENTS:
            count = len(_lines(folder / WORKLOADS))
            lines = whole.splitlines(keepends=True)
            whole = b"".join(line for line in lines if _workload_of(line) < count)
        if whole != data:
            beside = folder / f"{name}.mended"
            beside.write_bytes(whole)
            beside.replace(path)


def _workload_of(line: bytes) -> int:
    """The number of a record's workload; -1 where the line is no record."""
    document = _parsed(line)
    number = document[0] if isinstance(document, list) and document else None
    return number if isinstance(number, int) else -1


def read_folder(path: Path) -> Folder:
    """The records of a folder; one that is not there has nothing."""
    lines = list(filter(None, map(_line, _lines(path / MEASUREMENTS))))
    return Folder([_parsed(each) for each in _lines(path / WORKLOADS)], lines)


def _lines(path: Path) -> list[bytes]:
    """The lines of a file, whatever is in them; none where there is no file."""
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failure(f"can't read {path}: {error.strerror}", option="tuning-db") from error


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _line(text: bytes) -> _Line | None:
    """A measurement, where the line is one of lprc's."""
    try:
        workload, (trace, seconds, target, arguments) = json.loads(text)
        if not isinstance(workload, int):
            return None
        least = None if seconds is None else min(float(time) for time in seconds)
        if least is not None and not 0.0 < least < 1e9:  # MetaSchedule's own mark of a failure
            least = None
        parameters = next(_annotated(trace[0]), None)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    if parameters is None:
        return None
    return _Line(workload, canonical(target), canonical(arguments), Measurement(parameters, least))


def _annotated(instructions: Any) -> Iterator[str]:
    for name, inputs, attributes, _ in instructions:
        if name == "Annotate" and attributes == [ANNOTATION]:
            yield str(inputs[1]).strip('"')


def _is_workload(document: Any, task: Task) -> bool:
    """Whether a line of the file is this task: a file may lie about the hash."""
    if not isinstance(document, list) or len(document) != 2 or document[0] != task.key:
        return False
    if document[1] == task.workload_document[1]:
        return True
    try:
        module = Workload.from_json(document).mod
    except Exception:  # noqa: BLE001 - TVM raises what it likes at what is no module
        return False
    return bool(tvm_ffi.structural_equal(module, task.module))


def _arguments(task: Task) -> Any:
    return [each.as_json() for each in task.args_info]


def canonical(document: Any) -> str:
    """JSON data as text that is equal for equal data."""
    return json.dumps(document, sort_keys=True)
