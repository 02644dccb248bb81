"""One measuring worker as its parent sees it: started when needed, ended when it doesn't answer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from lprc.core.process.python_process import module_command, module_environment
from lprc.targets.tvm_backend.frames import NoAnswerError, read_frame_within, write_frame_within

_MODULE = "lprc.targets.tvm_backend.measuring_worker"


class LostError(Exception):
    """The worker ended, or had to be ended, while it had this candidate."""


class MeasuringProcess:
    """A worker that is started again after it was lost.

    Args:
        arguments: The worker's command line.
        environment: Variables besides our own.
        start_seconds: How long it may take until it is ready.
    """

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str], start_seconds: float
    ) -> None:
        self._command = module_command(_MODULE, *arguments)
        self._environment = module_environment(environment)
        self._start_seconds = start_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        process = self._process
        return None if process is None else process.pid

    @property
    def life(self) -> int | None:
        """Which of its lives this is, from 1; what an earlier one had built is gone."""
        process = self._process
        return None if process is None or process.poll() is not None else self.starts

    def start(self) -> None:
        """Start it, if it does not run.

        Raises:
            LostError: It did not get ready.
        """
        with self._lock:
            self._running()

    def ask(self, message: dict[str, Any], seconds: float) -> Any:
        """What it answers.

        Raises:
            LostError: It did not answer, and is gone.
            ValueError: TVM refused the candidate.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            try:
                write_frame_within(process.stdin, message, seconds)
            except NoAnswerError as error:
                self._forget()
                raise LostError(f"does not listen for {seconds:g} s") from error
            except BrokenPipeError as error:
                raise LostError(self._ended(process)) from error
            answer = self._answer(process, seconds)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        """End it for good."""
        self._closed = True
        process = self._process
        if process is not None:
            _kill(process)
        with self._lock:  # whoever waited for an answer has found its end by now
            self._forget()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise LostError("the pool is closed")
        if self._process is not None and self._process.poll() is not None:
            self._forget()  # it has ended while it had nothing to do
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=self._environment,
                start_new_session=True,  # a linker that it runs ends with it
            )
            self.starts += 1
            self._answer(self._process, self._start_seconds)
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
        assert process.stdout is not None
        try:
            answer: dict[str, Any] = read_frame_within(process.stdout, seconds)
        except NoAnswerError as error:
            self._forget()
            raise LostError(f"no answer within {seconds:g} s") from error
        except EOFError as error:
            raise LostError(self._ended(process)) from error
        return answer

    def _ended(self, process: subprocess.Popen[bytes]) -> str:
        """How it ended."""
        try:
            code = process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:  # it has closed its pipes only
            code = -signal.SIGKILL
        self._forget()
        return f"ended by {_signal(-code)}" if code < 0 else f"ended with code {code}"

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
