"""Calls in another process: they return, raise, crash, hang, and the process ends with ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lprc.core.process import child_start
from lprc.core.process.python_process import module_environment
from lprc.core.process.warm_child import TIME_LIMIT_VARIABLE, ChildError, RefusedError, WarmChild

HERE = "planted_calls"


@pytest.fixture(params=["fork", "spawn"])
def child(request, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    if request.param == "spawn":
        monkeypatch.setattr(child_start.threading, "active_count", lambda: 2)
    warm = WarmChild()
    yield warm
    warm.close()


def test_it_returns_and_stays(child):
    first = child.call(f"{HERE}:number")
    assert first != os.getpid()
    assert child.call(f"{HERE}:number") == first
    assert child.call(f"{HERE}:double", [1, 2]) == [1, 2, 1, 2]
    assert child.generation == 1


def test_what_it_prints_is_no_reply(child, capfd):
    assert child.call(f"{HERE}:talk") == "done"
    assert capfd.readouterr() == ("", "")


def test_it_raises(child):
    with pytest.raises(RefusedError, match="no good") as caught:
        child.call(f"{HERE}:refuse")
    assert caught.value.kind == "builtins.ValueError"
    assert child.call(f"{HERE}:double", "a") == "aa"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGKILL"])
def test_it_crashes_and_is_started_again(child, name):
    with pytest.raises(ChildError, match=rf"crashed \({name}\)") as caught:
        child.call(f"{HERE}:crash", getattr(signal, name))
    assert not caught.value.expired
    assert (caught.value.hint is not None) == (name == "SIGKILL")
    assert child.call(f"{HERE}:double", 2) == 4
    assert child.generation == 2


def test_it_crashes_as_its_signal_says(child):
    """A handler of ours, which pytest sets, would crash in it by another signal now and then."""
    assert not child.call(f"{HERE}:tells_of_faults")


def test_it_ends_by_itself(child):
    with pytest.raises(ChildError, match="ended its process with code 3"):
        child.call(f"{HERE}:leave", 3)


def test_it_takes_too_long(child, monkeypatch):
    for limit in (0.3, None):
        started = time.monotonic()
        with pytest.raises(ChildError, match=r"took more than 0\.3 s") as caught:
            child.call(f"{HERE}:wait", 60, limit=limit)
        monkeypatch.setenv(TIME_LIMIT_VARIABLE, "0.3")
        assert caught.value.expired
        assert TIME_LIMIT_VARIABLE in caught.value.hint
        assert time.monotonic() - started < 10


def test_memory_beyond_the_machines_is_refused_and_not_fatal(child):
    with pytest.raises(RefusedError) as caught:
        child.call(f"{HERE}:fill", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 2)
    assert caught.value.kind.endswith("MemoryError")


def test_several_threads_take_turns(child):
    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(child.call(f"{HERE}:double", n)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [2 * n for n in range(8)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_its_own(child):
    mine = child.call(f"{HERE}:number")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        other = child.call(f"{HERE}:number")
        os.write(write, str(other).encode())
        child.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(read, 100)) != mine
    assert child.call(f"{HERE}:number") == mine
    os.close(read)
    os.close(write)


KILLED = """
import sys, threading
from lprc.core.process.warm_child import WarmChild
child = WarmChild()
print(child.call("planted_calls:number"), flush=True)
child.call("planted_calls:wait", 600)
"""


def test_it_ends_with_the_process_that_started_it(tmp_path):
    """Killed in the middle of a call, so that nothing but the kernel can tell."""
    environment = module_environment({"HOME": str(tmp_path), "TMPDIR": str(tmp_path)})
    folders = [str(Path(__file__).parent), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, env=environment, cwd=tmp_path
    )
    number = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    for _ in range(100):
        state = Path(f"/proc/{number}/stat")
        if not state.exists() or state.read_text(encoding="utf-8").split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("it is still there")


def test_it_keeps_no_file_of_ours_open(child, tmp_path):
    with (tmp_path / "ours").open("w", encoding="utf-8"):
        assert not [name for name in child.call(f"{HERE}:files") if name.endswith("/ours")]
