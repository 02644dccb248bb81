"""A run that is stopped leaves what was there before: no output, no scratch, no process."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import processes
import pytest

SLOW = """
import os, sys, time
from dataclasses import dataclass
from pathlib import Path
from lprc.core import builtin
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass
from lprc.core.process.worker import run_worker

HERE = Path(__file__).parent

@dataclass(frozen=True)
class Sleep(Pass):
    '''Wait in Python.'''
    name = "sleep"
    contract = exact
    def run(self, model, context):
        (HERE / "ready").write_text("")
        time.sleep(120)

@dataclass(frozen=True)
class Work(Pass):
    '''Wait for a process.'''
    name = "work"
    contract = exact
    def run(self, model, context):
        run_worker("T", ["sleeper"], where="m", time_limit=120, complaint=HERE / "complaint",
                   environment={"PYTHONPATH": str(HERE)})

builtin.PASSES["sleep"] = "slow:Sleep"
builtin.PASSES["work"] = "slow:Work"
sys.modules["slow"] = sys.modules["__main__"]
from lprc.cli import main
main()
"""

SLEEPER = """
import os, pathlib, time
from lprc.core.process.worker import end_with_parent
end_with_parent()
here = pathlib.Path(__file__).parent
(here / "pid").write_text(str(os.getpid()))
(here / "ready").write_text("")
time.sleep(120)
"""


@pytest.fixture
def start(tmp_path, small):
    """Start a compile that waits in a pass, and return when it does."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "slow.py").write_text(SLOW)
    (tools / "sleeper.py").write_text(textwrap.dedent(SLEEPER))
    running = []

    def run(passes: str, *, before: str = "") -> subprocess.Popen[str]:
        (tools / "ready").unlink(missing_ok=True)
        command = [sys.executable, str(tools / "slow.py"), "compile", str(small)]
        command += ["--target", "onnx", "-o", str(tmp_path / "o" / "out"), "--passes", passes]
        process = processes.start(
            ["bash", "-c", f'{before} exec "$@"', "bash", *command],
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        wait_until(lambda: (tools / "ready").exists() or process.poll() is not None)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize("passes", ["sleep", "work"])
@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_a_signal(start, tmp_path, passes, number, code, message):
    process = start(passes)
    assert scratch(tmp_path / "o")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, message in errors) == (code, True), errors
    assert "Traceback" not in errors
    assert list((tmp_path / "o").iterdir()) == []
    if passes == "work":
        assert not is_running(int((tmp_path / "tools" / "pid").read_text()))


def test_what_nohup_ignores_stays_ignored(start, tmp_path):
    process = start("sleep", before="trap '' HUP;")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None


def test_an_earlier_artefact_stays(start, lprc, small, tmp_path):
    out = tmp_path / "o" / "out"
    lprc("compile", small, "--target", "onnx", "-o", out, "-q")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    process = start("sleep")
    process.terminate()
    process.communicate(timeout=60)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["out"]


def test_what_a_killed_run_left_is_removed_by_the_next(start, lprc, small, tmp_path):
    killed, alive = start("sleep"), start("sleep")
    assert len(scratch(tmp_path / "o")) == 2
    killed.kill()
    killed.communicate()
    (tmp_path / "o" / ".lprc-mine").write_text("of another tool")
    lprc("compile", small, "--target", "onnx", "-o", tmp_path / "o" / "other", "-q")
    # That of the run that is still alive stays.
    assert len(scratch(tmp_path / "o")) == 1
    alive.terminate()
    alive.communicate(timeout=60)
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [".lprc-mine", "other"]


def test_a_worker_of_a_killed_run_ends(start, tmp_path):
    start("work").kill()
    wait_until(lambda: not is_running(int((tmp_path / "tools" / "pid").read_text())))


def scratch(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "error"), [("SIGTERM", "TerminatedError"), ("SIGINT", "KeyboardInterrupt")]
)
def test_a_signal_is_not_lost_in_a_finaliser(name, error, tmp_path):
    program = f"""
import signal, time
from lprc.cli.signals import signals_raised

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it

class Held:
    def __del__(self):
        signal.raise_signal(signal.{name})
        for _ in range(1000):
            pass

try:
    with signals_raised():
        Held()
        time.sleep(20)
except BaseException as caught:
    print(type(caught).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == (error, "")
