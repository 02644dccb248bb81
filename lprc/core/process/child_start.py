"""Two ways to start the process of `lprc.core.process.warm_child`: by fork, and anew."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import IO, NoReturn

from lprc.core.process import child_loop
from lprc.core.process.python_process import module_command, module_environment


@dataclass
class Child:
    """A running child.

    Attributes:
        pid: Its number.
        requests: Where to write calls.
        replies: Where to read what they return.
    """

    pid: int
    requests: IO[bytes]
    replies: IO[bytes]

    def exit_code(self, *, wait: bool) -> int | None:
        """How it ended, negative for a signal; None where it runs and we do not wait."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    _code: int | None = None

    def kill(self) -> None:
        """End it, whatever it is at."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)


def start() -> Child:
    """Start one: by fork where nobody else runs in this process, as that takes milliseconds.

    With other Python threads about, a lock that one of them holds would stay held in the child.
    """
    if sys.platform == "linux" and threading.active_count() == 1:
        return _forked()
    process = subprocess.Popen(  # noqa: S603 - our own module
        module_command("lprc.core.process.child_loop"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=module_environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.returncode = 0  # it is ours to wait for
    return Child(process.pid, process.stdin, process.stdout)


def _forked() -> Child:
    requests_out, requests_in = os.pipe()
    replies_out, replies_in = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 warns of native threads, BLAS's, which take part in nothing here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _become_child(requests_out, replies_in, parent)
    os.close(requests_out)
    os.close(replies_in)
    return Child(pid, os.fdopen(requests_in, "wb"), os.fdopen(replies_out, "rb"))


def _become_child(requests: int, replies: int, parent: int) -> NoReturn:
    code = 1
    try:
        # What it tells on a crash goes to a descriptor that is another's from here on, and looking
        # through the threads that the fork left out may crash once more.
        faulthandler.disable()
        # Our locks and files must not stay open in the child.
        os.dup2(requests, 0)
        os.dup2(replies, 1)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # one system call, where the kernel has it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.close(3)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        child_loop.serve(parent)
        code = 0
    finally:
        os._exit(code)
