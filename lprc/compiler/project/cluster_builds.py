"""The compiles of a project on the workers of a Dask cluster."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lprc.compiler.artifact.manifest_file import is_artefact
from lprc.compiler.cache.input_files import input_files
from lprc.compiler.cache.surroundings import surroundings
from lprc.compiler.cluster.connection import TURN, Cluster, in_parcel
from lprc.compiler.cluster.parcels import (
    model_files,
    packed,
    read_folder,
    sample_files,
    task_files,
    write_folder,
)
from lprc.compiler.project.plan import Build
from lprc.compiler.project.run_builds import Ended, Runner
from lprc.compiler.project.state import States, moved
from lprc.core.errors import LprcError, UsageError
from lprc.core.files.atomic import atomic_folder
from lprc.core.process.python_process import module_command, module_environment

_ROOT = "root"

_COMPARED = ("lprc", "libraries", "sdks", "machine")
"""What has to be on a worker as it is here: an artefact is fresh only where it was made so."""

_OF_FILES = ("--calib", "--inputs", "--data", "--task")


class ClusterRunner(Runner):
    """Compiles on the workers behind a scheduler; searches run here, their trials there.

    Args:
        root: The project's folder.
        states: Of its builds.
        around: What compiles depend on besides their inputs.
        scheduler: Its address.
        builds: What will be built: their files go to each worker once.

    Raises:
        MissingDependencyError: Dask is not installed.
        UsageError: No scheduler answers, it has no workers, one of them has other versions or is
            another kind of machine, or a build has files that can't be sent.
        LprcError: A file can't be read.
    """

    def __init__(
        self,
        root: Path,
        states: States,
        around: Mapping[str, Any],
        scheduler: str,
        builds: Sequence[Build],
    ) -> None:
        super().__init__(root, states, around)
        self._scheduler = scheduler
        compiles = [build for build in builds if build.study is None]
        self._cluster: Cluster | None = None
        if compiles:
            files = {name: path for build in compiles for name, path in _files(root, build).items()}
            self._cluster = Cluster(scheduler, packed(files))
            try:
                self._check_workers(around)
            except LprcError:
                self.close()
                raise

    @property
    def workers(self) -> int:
        """How many there are; 1 where none compiles."""
        return 1 if self._cluster is None else self._cluster.count

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
        if self._cluster is not None:
            self._cluster.close()

    def _ended(self, build: Build) -> Ended:
        if self._cluster is None or build.study is not None:
            return self._run_here([*build.arguments, "--scheduler", self._scheduler])
        future = self._cluster.submit(_compile, _arguments(build))
        try:
            code, document, messages, files = self._cluster.result(future)
        except LprcError as error:
            return Ended(error.exit_code, "", f"error: {error}\n")
        if code == 0:
            with atomic_folder(self._root / build.out, may_replace=is_artefact) as folder:
                write_folder(files, folder)
        return Ended(code, document, messages, tuple(_inputs(self._root, build)))

    def _check_workers(self, around: Mapping[str, Any]) -> None:
        """See that all workers would compile what this machine would.

        Raises:
            UsageError: One has another version, or is another kind of machine.
        """
        assert self._cluster is not None
        here = {key: around.get(key) for key in _COMPARED}
        for address, there in sorted(self._cluster.everywhere(_surroundings).items()):
            why = moved(here, {key: there.get(key) for key in _COMPARED})
            if why is not None:
                raise UsageError(
                    f"worker {address} is not as this machine: {why}",
                    where=self._scheduler,
                    hint="start workers in the same environment on the same kind of machine",
                )


def _place(path: str | Path) -> str:
    """Where a file or folder of a project is for a compile in a parcel's folder `_ROOT`."""
    given = Path(path)
    if given.is_absolute() or ".." in given.parts:
        folder = hashlib.sha256(str(given).encode()).hexdigest()[:16]
        return f"../outside/{folder}/{given.name}"
    return given.as_posix()


def _in_parcel(place: str) -> str:
    return place[len("../") :] if place.startswith("../") else f"{_ROOT}/{place}"


def _around(place: str) -> str:
    return Path(_in_parcel(place)).parent.as_posix()


def _files(root: Path, build: Build) -> dict[str, Path]:
    """The files of a build by their places in a parcel.

    Raises:
        UsageError: An option names a file.
        LprcError: One can't be read.
    """
    for option, value in zip(build.arguments, build.arguments[1:], strict=False):
        texts = value.partition("=")[2].split(",") if option == "-O" else []
        file = next((text for text in texts if text and (root / text).is_file()), None)
        if file is not None:
            raise UsageError(
                f"build '{build.name}': option {value} names a file, which workers do not get",
                where="--scheduler",
                hint=f"build it without: lprc build {build.name}",
            )
    files = model_files(root / build.model, _around(_place(build.model)))
    for path in (build.calib, build.inputs, build.data):
        if path is not None:
            place = _place(path)
            folder = _in_parcel(place) if (root / path).is_dir() else _around(place)
            files |= sample_files(root / path, folder)[0]
    if build.task is not None:
        files |= task_files(str(root / build.task), _around(_place(build.task)))[0]
    return files


def _arguments(build: Build) -> list[str]:
    """Those of the compile with the places of the files in a parcel; without ``-o``."""
    command, model, *options = build.arguments
    arguments = [command, _place(model)]
    own_task = build.task is not None and build.task.endswith(".toml")
    for option, value in _pairs(options):
        if option == "-o":
            continue
        named = option in _OF_FILES and value is not None and (option != "--task" or own_task)
        arguments.append(option)
        if value is not None:
            arguments.append(_place(value) if named else value)
    return arguments


def _pairs(options: Sequence[str]) -> list[tuple[str, str | None]]:
    """Options with their values; the last, ``--guard``, may have none."""
    pairs: list[tuple[str, str | None]] = [*zip(options[::2], options[1::2], strict=False)]
    return [*pairs, (options[-1], None)] if len(options) % 2 else pairs


def _inputs(root: Path, build: Build) -> list[str]:
    """The files that a build reads, as its compile here would name them."""
    own_task = build.task is not None and build.task.endswith(".toml")
    files = input_files(
        root / build.model,
        calib=None if build.calib is None else root / build.calib,
        inputs=None if build.inputs is None else root / build.inputs,
        data=None if build.data is None else root / build.data,
        task=str(root / str(build.task)) if own_task else None,
    ).files
    return [str(path).removeprefix(f"{root}/") for path in files]


# ---- on a worker


def _surroundings() -> dict[str, Any]:
    return surroundings(None, sdks=True)


def _compile(
    payload: bytes, digest: str, arguments: Sequence[str]
) -> tuple[int, str, str, dict[str, bytes]]:
    """The exit code of a compile, what it printed, its messages, and the artefact's files."""
    folder = in_parcel(payload, digest) / _ROOT
    folder.mkdir(exist_ok=True)  # all files may come from outside of the project
    with TURN, tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "artefact"
        done = subprocess.run(  # noqa: S603 - ourselves
            module_command("lprc", *arguments, "-o", str(out), "--json"),
            cwd=folder,
            env=module_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        files = read_folder(out) if done.returncode == 0 else {}
        return done.returncode, done.stdout, done.stderr, files
