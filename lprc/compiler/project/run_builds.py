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
        exit_code: Of ``lprc compile``.
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
        rows = self.document.get("comparison") or [{}]
        found: float | None = rows[-1].get("accuracy")
        return found


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

    def run(self, stale: Sequence[tuple[Build, str]], jobs: int) -> Iterator[Done]:
        """Build what is stale, and yield each when it is done; a failure stops no other.

        Args:
            stale: The builds, and why.
            jobs: How many at a time.
        """
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
        begun = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - ourselves
            module_command("lprc", *build.arguments, "--json"),
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
        seconds = time.perf_counter() - begun
        document: dict[str, Any] = json.loads(output) if process.returncode == 0 else {}
        done = Done(build, why, process.returncode, document, messages, seconds)
        if process.returncode == 0:
            inputs = document["inputs"]
            self._states.record(build, self._around, inputs, before, done.accuracy)
        else:
            self._states.forget(build.name)
        return done
