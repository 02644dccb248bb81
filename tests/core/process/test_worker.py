"""Vendor code in a process of its own."""

from __future__ import annotations

import signal
import sys
import textwrap
import time
from pathlib import Path

import pytest
from processes import start

from lprc.core.process.worker import WorkerError, run_worker


def module(folder: Path, code: str) -> dict[str, str]:
    (folder / "theirs.py").write_text(textwrap.dedent(code))
    return {"PYTHONPATH": str(folder)}


def run(folder: Path, code: str, **more) -> bool:
    environment = module(folder, code)
    settings = {"where": "m.onnx", "time_limit": 60, "complaint": folder / "complaint", **more}
    return run_worker("Theirs", ["theirs"], environment=environment, **settings)


def test_work_and_complaint(tmp_path):
    assert run(tmp_path, "print('hello')")
    assert not run(tmp_path, "open('complaint', 'w').close(); raise SystemExit(1)")


def test_progress(tmp_path):
    seen = []
    run(
        tmp_path,
        """
        print('noise'); print('{"step": 1, "steps": 2}'); print('{"step": 2, "steps": 2}')
        """,
        progress=lambda *step: seen.append(step),
    )
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "Theirs was ended by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL .most often memory is at its end"),
        ("raise ValueError('their reason')", "Theirs failed: ValueError: their reason"),
        ("import time; time.sleep(60)", "took more than 0.5 s .-O time-limit=SECONDS allows more"),
    ],
)
def test_ends_of_all_kinds(tmp_path, code, message):
    limit = 0.5 if "sleep" in code else 60
    with pytest.raises(WorkerError, match=rf"m\.onnx: .*{message}"):
        run(tmp_path, code, time_limit=limit)


def test_the_current_folder_is_not_imported_from(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the current folder')")
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(other, "import json")


def test_it_ends_with_the_process_that_started_it(tmp_path):
    """Even where that one is killed and can't clean up."""
    pid = tmp_path / "pid"
    code = f"""
    import os, pathlib, time
    from lprc.core.process.worker import end_with_parent
    end_with_parent()
    pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
    time.sleep(60)
    """
    program = (
        "from pathlib import Path; from lprc.core.process.worker import run_worker;"
        f"run_worker('T', ['theirs'], where='m', time_limit=60, complaint=Path({str(tmp_path)!r})/'c')"
    )
    parent = start([sys.executable, "-c", program], environment=module(tmp_path, code))
    wait_until(lambda: pid.is_file() and pid.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not is_running(int(pid.read_text())))


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
