"""Run the compiles that a project needs, several at a time, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.project.plan import Build
from lprc.compiler.project.state import States
from lprc.core.process.python_process import module_command, module_environment


@dataclass(frozen=True)
class Done:
    """What became of a build.

    Attributes:
        build: The build.
        why: Why it was stale.
        exit_code: Of ``lprc compile`` or ``lprc search``.
        document: What that printed; empty where it failed.
        messages: What it wrote to standard error.
        seconds: How long it took.
    """

    build: Build
    why: str
    exit_code: int
    document: dict[str, Any]
    messages: str
    seconds: float

    @property
    def accuracy(self) -> float | None:
        """Of the artefact, where it was measured."""
        last_row = (self.document.get("comparison") or [self.document.get("artefact") or {}])[-1]
        accuracy: float | None = last_row.get("accuracy")
        return accuracy

    @property
    def trial(self) -> dict[str, Any] | None:
        """Which study and trial the artefact is from; None where it was not searched for."""
        if self.build.study is None or not self.document:
            return None
        return {"study": self.document["id"], "trial": self.document["picked"]}


@dataclass(frozen=True)
class Ended:
    """What a command has said.

    Attributes:
        exit_code: Its own.
        output: What it printed.
        messages: What it wrote to standard error.
        inputs: The files that it read; None where the output says.
    """

    exit_code: int
    output: str
    messages: str
    inputs: tuple[str, ...] | None = None


class Runner:
    """Compiles, and remembers what was compiled from what.

    Args:
        root: The project's folder.
        states: Of its builds.
        around: What compiles depend on besides their inputs.
    """

    def __init__(
        self,
        root: Path,
        states: States,
        around: Mapping[str, Any],
    ) -> None:
        self._root = root
        self._states = states
        self._around = around
        self._running: set[subprocess.Popen[str]] = set()

    @property
    def workers(self) -> int:
        """How many builds at a time it is for, unless the user says."""
        return 1

    def run(self, stale: Sequence[tuple[Build, str]], jobs: int) -> Iterator[Done]:
        """Build what is stale, and yield each when it is done; a failure stops no other.

        What searches measures latencies: it runs behind all others, one at a time.

        Args:
            stale: The builds, and why.
            jobs: How many at a time.
        """
        searches = [item for item in stale if item[0].study is not None]
        yield from self._together([item for item in stale if item[0].study is None], jobs)
        yield from self._together(searches, 1)

    def _together(self, stale: Sequence[tuple[Build, str]], jobs: int) -> Iterator[Done]:
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            waiting: list[Future[Done]] = [
                pool.submit(self._compile, build, why) for build, why in stale
            ]
            try:
                for future in as_completed(waiting):
                    yield future.result()
            finally:
                for future in waiting:
                    future.cancel()
                for process in list(self._running):
                    process.terminate()

    def _compile(self, build: Build, why: str) -> Done:
        before = self._states.statuses(build)
        if build.study is not None:
            self._states.make_folder()
        begun = time.perf_counter()
        ended = self._ended(build)
        seconds = time.perf_counter() - begun
        document: dict[str, Any] = json.loads(ended.output) if ended.exit_code == 0 else {}
        done = Done(build, why, ended.exit_code, document, ended.messages, seconds)
        if ended.exit_code == 0:
            inputs = document["inputs"] if ended.inputs is None else ended.inputs
            self._states.record(build, self._around, inputs, before, done.accuracy)
        else:
            self._states.forget(build.name)
        return done

    def _ended(self, build: Build) -> Ended:
        """Run what builds it."""
        return self._run_here(build.arguments)

    def _run_here(self, arguments: Sequence[str]) -> Ended:
        """Run lprc in a process of its own, in the project's folder."""
        with subprocess.Popen(  # noqa: S603 - ourselves
            module_command("lprc", *arguments, "--json"),
            cwd=self._root,
            env=module_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            self._running.add(process)
            try:
                output, messages = process.communicate()
            finally:
                self._running.discard(process)
        return Ended(process.returncode, output, messages)
