"""What a build was made from, and whether that is still so; without reading what did not move."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.cache.input_files import calibration_files, data_files
from lprc.compiler.project.plan import FOLDER, STUDY_SUFFIX, Build
from lprc.core.errors import LprcError
from lprc.core.files.atomic import atomic_file
from lprc.core.files.digest import sha256
from lprc.core.files.regular import read_regular
from lprc.core.files.removal import remove_folder

SCHEMA = 1

Status = list[int]
Known = dict[str, tuple[Status, str]]
"""Files by name, each with its status (size, times, inode) and SHA-256."""


@dataclass
class State:
    """What is known of an artefact that was built.

    Attributes:
        schema: Of this.
        out: The artefact's folder.
        arguments: Of the compile.
        surroundings: Versions, machine, lprc's sources.
        inputs: The files that it read.
        listed: The folders that it listed, each with what it found.
        outputs: The files of the artefact.
        accuracy: Where it was measured.
    """

    schema: int
    out: str
    arguments: list[str]
    surroundings: dict[str, Any]
    inputs: Known
    listed: dict[str, list[str]]
    outputs: Known
    accuracy: float | None = None


class States:
    """The states of a project's builds.

    Args:
        root: The project's folder.
        file: What to call the file that asks for them.
    """

    def __init__(self, root: Path, file: str = "lprc.toml") -> None:
        self._root = root
        self._file = file
        self._folder = root / FOLDER
        self._status: dict[str, Status | None] = {}

    def names(self) -> list[str]:
        """The builds that were built once."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def read(self, name: str) -> State | None:
        """The state of a build; None where it is not known, or not by this version."""
        from pydantic import TypeAdapter  # what builds imports it anyway, to read lprc.toml

        try:
            text = read_regular(self._path(name))
            state = TypeAdapter(State).validate_json(text, strict=True)
        except (OSError, ValueError):
            return None
        return state if state.schema == SCHEMA else None

    def write(self, name: str, state: State) -> None:
        """Remember a state.

        Raises:
            OutputError: It can't be written.
        """
        self.make_folder()
        with atomic_file(self._path(name)) as temporary:
            temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")

    def make_folder(self) -> None:
        """Make the folder of states, which git ignores."""
        self._folder.mkdir(exist_ok=True)
        ignore = self._folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")

    def forget(self, name: str) -> None:
        """Remove a state."""
        self._path(name).unlink(missing_ok=True)
        self._leave()

    def _leave(self) -> None:
        """Remove the folder of states where nothing else is in it."""
        if [path.name for path in self._folder.glob("*")] == [".gitignore"]:
            (self._folder / ".gitignore").unlink()
            with suppress(OSError):  # someone writes a state
                self._folder.rmdir()

    def remove_studies(self, builds: Sequence[Build] | None) -> list[Path]:
        """Remove what searches have tried; the folders, relative to the project.

        Args:
            builds: Whose; None for all that there are, of builds that are no longer in the file
                too.

        Raises:
            OutputError: One can't be removed.
        """
        places = (
            [Path(FOLDER, path.name) for path in sorted(self._folder.glob(f"*{STUDY_SUFFIX}"))]
            if builds is None
            else [build.study for build in builds if build.study is not None]
        )
        present = [place for place in places if (self._root / place).is_dir()]
        for place in present:
            remove_folder(self._root, place)
        self._leave()
        return present

    def why_stale(self, build: Build, around: Mapping[str, Any]) -> str | None:
        """Why `build` has to be built, in a few words; None where nothing has changed."""
        state = self.read(build.name)
        if state is None:
            return "not built yet"
        if state.arguments != list(build.arguments):
            return f"{self._file} asks for something else"
        reason = moved(state.surroundings, around)
        if reason is not None:
            return reason
        if state.listed != listed(self._root, build):
            return f"input changed: {_other_files(state.listed, listed(self._root, build))}"
        for what, folder, recorded in (
            ("input", self._root, state.inputs),
            ("output", self._root / state.out, state.outputs),
        ):
            for name, entry in recorded.items():
                how = self._differs(folder / name, entry)
                if how is not None:
                    return f"{what} {how}: {name}"
        return None

    def record(
        self,
        build: Build,
        around: Mapping[str, Any],
        inputs: Iterable[str],
        before: Mapping[str, Status | None],
        accuracy: float | None,
    ) -> None:
        """Remember that `build` was built.

        Args:
            build: The build.
            around: What the compile depended on.
            inputs: The files that it read.
            before: What `statuses` said before it. What has moved since is taken for changed.
            accuracy: Where it was measured.

        Raises:
            OutputError: It can't be written.
        """
        recorded: Known = {}
        for name in inputs:
            status = status_of(self._root / name)
            if status is None or before.get(name, status) != status:
                recorded[name] = ([], "")
            else:
                recorded[name] = (status, sha256(self._root / name))
        out = self._root / build.out
        outputs: Known = {
            path.name: (status_of(path) or [], sha256(path)) for path in sorted(out.iterdir())
        }
        self.write(
            build.name,
            State(
                SCHEMA,
                str(build.out),
                list(build.arguments),
                dict(around),
                recorded,
                listed(self._root, build),
                outputs,
                accuracy,
            ),
        )

    def statuses(self, build: Build) -> dict[str, Status | None]:
        """The files that a compile is known to read before it begins, as they are."""
        names = [str(build.model)]
        for folder, files in listed(self._root, build).items():
            names += [str(Path(folder) / name) for name in files]
        return {name: status_of(self._root / name) for name in names}

    def _differs(self, path: Path, entry: tuple[Status, str]) -> str | None:
        """How a file is not what it was; one whose status moved is read."""
        status, digest = entry
        key = str(path)
        if key not in self._status:
            self._status[key] = status_of(path)
        now = self._status[key]
        if now is None:
            return "missing"
        if now == status:
            return None
        return None if digest and sha256(path) == digest else "changed"

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def listed(root: Path, build: Build) -> dict[str, list[str]]:
    """The folders that a build lists, each with the files in it that count."""
    files_by_folder = {}
    places = (
        (build.calib, calibration_files),
        (build.inputs, calibration_files),
        (build.data, data_files),
    )
    for place, files_in in places:
        if place is None:
            continue
        try:
            names = [_beside(root / place, path) for path in files_in(root / place)]
        except LprcError:  # the compile says so, too
            names = []
        folder = place.parent if (root / place).is_file() else place
        files_by_folder[str(folder)] = names
    return files_by_folder


def _beside(place: Path, path: Path) -> str:
    """A file's name in the folder `place`, or in the one that the file `place` is in."""
    return path.relative_to(place.parent if place.is_file() else place).as_posix()


def status_of(path: Path) -> Status | None:
    """Size, times and inode of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _other_files(before: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> str:
    for folder, names in now.items():
        old = set(before.get(folder, ()))
        for name in sorted(old ^ set(names)):
            return f"{Path(folder) / name} {'removed' if name in old else 'added'}"
    return "another folder"


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Which of the versions and the like is another one."""
    for key in ("libraries", "sdks"):
        old, new = before.get(key, {}), now.get(key, {})
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                return f"{name} changed: {old.get(name, 'none')} to {new.get(name, 'none')}"
    if before.get("lprc") != now.get("lprc"):
        return "lprc changed"
    return None if dict(before) == dict(now) else "the machine changed"
