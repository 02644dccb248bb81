"""What can be evaluated and measured: a folder of ``compile``, or a model file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lprc.compiler.artifact.manifest_file import FILE, read_manifest
from lprc.compiler.artifact.task_files import read_task
from lprc.core.builtin import TARGET_ALIASES, TARGETS
from lprc.core.errors import DataError, InvalidModelError, UsageError
from lprc.core.onnx_io.gzip_files import SUFFIX
from lprc.core.onnx_io.model_io import check_file
from lprc.core.running.layer_times import LayerTime
from lprc.core.running.numerics import Arrays
from lprc.core.running.runner import OpenJob, Runner
from lprc.core.targets.runtimes import DEFAULT, Runtime, runtime, runtime_of_file
from lprc.core.targets.target import target
from lprc.core.tasks.task import Task

LOWERED = "lowered.onnx"


@dataclass(frozen=True)
class Artifact:
    """A model on disk and the runtime that it is for.

    Attributes:
        path: The folder or file that the user named.
        model: The file that the runtime loads.
        backend: The runtime, by its short name: ``ort``, ``openvino`` and so on.
        files: The files that are deployed; the manifest and the lowered ONNX are not.
        manifest: Of a folder; None for a bare file. Its JSON Schema is in docs/manifest.md.
    """

    path: Path
    model: Path
    backend: str
    files: tuple[Path, ...]
    manifest: dict[str, Any] | None

    @cached_property
    def task(self) -> Task | None:
        """What a folder says that it is for; None where it does not, or for a bare file.

        Raises:
            DataError: It says something else than a task.
        """
        return read_task(self.path) if self.manifest is not None else None

    @property
    def size_bytes(self) -> int:
        """The size of all deployed files."""
        return sum(file.stat().st_size for file in self.files)

    def runner(
        self, *, threads: int | None = None, streams: int | None = None, batch: int | None = None
    ) -> Runner:
        """Load it.

        Args:
            threads: As of `lprc.core.running.runner.OpenJob`, as are the others.
            streams: Runs at once.
            batch: Of every run.

        Raises:
            LprcError: As of `lprc.core.targets.runtimes.Runtime.open`.
        """
        if self.model.suffix in (".onnx", SUFFIX):  # runtimes crash on what is not valid
            check_file(self.model)
        return runtime(self.backend).open(self._job(threads, streams, batch))

    def layers(self, inputs: Arrays, runs: int, *, threads: int | None = None) -> list[LayerTime]:
        """What each of its layers takes, as its runtime counts it.

        Raises:
            LprcError: As of `lprc.core.targets.runtimes.Runtime.layers`.
        """
        return runtime(self.backend).layers(self._job(threads), inputs, runs)

    def _job(
        self, threads: int | None, streams: int | None = None, batch: int | None = None
    ) -> OpenJob:
        report: dict[str, Any] = (self.manifest or {}).get("emitter", {})
        return OpenJob(self.model, threads, report, streams, batch)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once in its runtime, which is loaded at the first call; outputs by name.

        Threads take turns; `runner` gives each one of its own.

        Raises:
            DataError: Inputs that it does not have, or not all that it has.
            RunError: It fails on them.
            LprcError: As of `runner`.
        """
        runner, turn = self._loaded
        if set(inputs) != set(runner.inputs):
            raise DataError(
                f"given inputs {_listed(inputs)}",
                where=str(self.path),
                hint=f"it takes {_listed(runner.inputs)}",
                path=self.path,
            )
        with turn:
            return runner.run(inputs)

    @cached_property
    def _loaded(self) -> tuple[Runner, threading.Lock]:
        return self.runner(), threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: not the runtime."""
        return {key: value for key, value in vars(self).items() if key != "_loaded"}

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from lprc.compiler.artifact.notebook import artifact_html

        return artifact_html(self)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"


def open_artifact(name: str | os.PathLike[str]) -> Artifact:
    """Open a folder of ``compile``, or a file that one of the runtimes loads.

    ``model.onnx@openvino`` names the runtime of a file; .onnx is for ONNX Runtime by default.

    Raises:
        InvalidModelError: No such file, not an artefact, or a file of it is missing.
        UsageError: No such runtime.
    """
    text, _, named = str(name).rpartition("@")
    if not text or Path(str(name)).exists():
        text, named = str(name), ""
    path = Path(text)
    asked = runtime(named) if named else None
    if path.is_dir():
        return _from_folder(path, asked)
    if not path.is_file():
        raise InvalidModelError("no such file or folder", where=str(path))
    own = runtime_of_file(path)
    if asked is not None:
        _check_opens(path, asked)
    needed = (path, *(path.with_suffix(suffix) for suffix in own.companions.get(path.suffix, ())))
    weights = path.with_name(f"{path.name}.data")
    files = (*_existing(needed, path), *((weights,) if weights.is_file() else ()))
    return Artifact(path, path, (asked or own).short_name, files, None)


def _check_opens(path: Path, asked: Runtime) -> None:
    """Raise InvalidModelError for a model that a runtime only takes once it is compiled."""
    if not asked.compiled_only or path.suffix in asked.opened_suffixes:
        return
    raise InvalidModelError(
        f"{asked.title} runs what was compiled for it, and opens no '{path.suffix}'",
        where=f"{path}@{asked.short_name}",
        hint=f"`lprc compile {path} --target {_target_for(asked)} -o OUT`, then name OUT",
    )


def _target_for(asked: Runtime) -> str:
    """The first of lprc's targets whose artefacts a runtime runs; its alias where it has one."""
    return next(
        (name for name in (*TARGET_ALIASES, *TARGETS) if target(name).runtime == asked.name),
        "TARGET",
    )


def _from_folder(folder: Path, asked: Runtime | None) -> Artifact:
    return artifact_in(folder, read_manifest(folder), asked)


def artifact_in(folder: Path, manifest: dict[str, Any], asked: Runtime | None = None) -> Artifact:
    """The artefact in `folder`, whose manifest need not be written yet.

    Args:
        folder: With all its files.
        manifest: What stands in its manifest, or will.
        asked: The runtime; None for the manifest's.

    Raises:
        InvalidModelError: An unknown runtime, or a file is missing.
    """
    names: list[str] = manifest["deployed"]
    if not names:
        lowered, default = folder / LOWERED, runtime(DEFAULT)
        files = _existing((lowered,), folder)
        return Artifact(folder, lowered, (asked or default).short_name, files, manifest)
    try:
        own = runtime(manifest["runtime"])
    except UsageError as error:
        raise InvalidModelError(error.message, where=str(folder / FILE), hint=error.hint) from error
    files = _existing(tuple(folder / name for name in names), folder)
    model = folder / own.file
    if model not in files:  # for another machine; what runs it says so
        model = files[0]
    return Artifact(folder, model, (asked or own).short_name, files, manifest)


def _existing(files: tuple[Path, ...], where: Path) -> tuple[Path, ...]:
    for file in files:
        if not file.is_file():
            raise InvalidModelError(f"'{file.name}' is missing", where=str(where))
    return files
