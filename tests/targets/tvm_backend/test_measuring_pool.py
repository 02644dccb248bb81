"""Workers that stay alive: what goes wrong with a candidate costs that candidate only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("tvm.s_tir", reason="apache-tvm is not installed")

from tvm_kernels import calling

from lprc.targets.tvm_backend.frames import NoAnswerError, read_frame_within, write_frame_within
from lprc.targets.tvm_backend.measuring_pool import Limits, MeasuringPool

GOOD = ("abs", 1)


@pytest.fixture(scope="module")
def pool() -> Iterator[MeasuringPool]:
    with MeasuringPool(1, 1, limits=Limits(run=1.5)) as pool:
        yield pool


def test_a_good_candidate_is_built_and_timed(pool: MeasuringPool) -> None:
    pids = pool.pids
    for _ in range(2):
        (key,) = pool.build([calling(*GOOD)])
        assert isinstance(key, int)
        (outcome,) = pool.run([key])
        assert outcome.error is None
        assert outcome.seconds is not None
        assert 0 < outcome.seconds < 1e-3
    assert pool.pids == pids  # the same process did both


def test_a_candidate_that_crashes_costs_itself_only(pool: MeasuringPool) -> None:
    before, lost = pool.pids, pool.counts.lost
    keys = pool.build([calling("abort", 0), calling(*GOOD)])
    crashed, good = pool.run([key for key in keys if isinstance(key, int)])
    assert crashed.seconds is None
    assert crashed.error == "ended by SIGABRT"
    assert good.seconds is not None  # it was built by the worker that died: built again
    assert pool.counts.lost == lost + 1
    assert pool.pids != before


def test_a_candidate_that_hangs_is_cut_off(pool: MeasuringPool) -> None:
    keys = pool.build([calling("sleep", 100), calling(*GOOD)])
    begin = time.monotonic()
    hung, good = pool.run([key for key in keys if isinstance(key, int)])
    assert hung.error == "no answer within 1.5 s"
    assert good.seconds is not None
    assert time.monotonic() - begin < 30


def test_a_worker_that_is_killed_between_two_candidates_is_replaced(pool: MeasuringPool) -> None:
    (key,) = pool.build([calling(*GOOD)])
    assert isinstance(key, int)
    (pid,) = pool.pids
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    (outcome,) = pool.run([key])
    assert outcome.seconds is not None  # it was built again
    assert pid not in pool.pids


def test_what_tvm_refuses_is_told_and_costs_no_process(pool: MeasuringPool) -> None:
    pids = pool.pids
    broken, good = pool.build([replace(calling(*GOOD), module="{"), calling(*GOOD)])
    assert "Error" in str(broken)
    assert isinstance(good, int)
    assert pool.pids == pids


def test_a_candidate_can_be_kept_for_another_round(pool: MeasuringPool) -> None:
    (key,) = pool.build([calling(*GOOD)])
    assert isinstance(key, int)
    assert all(pool.run([key], keep=True)[0].seconds for _ in range(2))
    assert pool.run([key])[0].seconds
    with pytest.raises(KeyError):
        pool.run([key])


def test_nothing_runs_after_closing() -> None:
    pool = MeasuringPool(1, 1)
    (pid,) = pool.pids
    pool.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(RuntimeError):
        pool.build([calling(*GOOD)])


def test_frames_wait_no_longer_than_told() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as read, os.fdopen(theirs, "wb", buffering=0) as write:
        write_frame_within(write, {"a": [1, None, "ü"]}, 1.0)
        assert read_frame_within(read, 1.0) == {"a": [1, None, "ü"]}
        with pytest.raises(NoAnswerError):
            read_frame_within(read, 0.05)
        with pytest.raises(NoAnswerError):  # nobody reads more than a pipe holds
            write_frame_within(write, "x" * 10_000_000, 0.2)


def test_frames_tell_that_the_other_side_is_gone() -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as read, pytest.raises(EOFError):
        read_frame_within(read, 1.0)


def test_a_worker_imports_nothing_from_the_current_folder(tmp_path, monkeypatch):
    for name in ("numpy", "tvm", "tempfile"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    with MeasuringPool(1, 1, limits=Limits(start=120)) as pool:
        assert len(pool.pids) == 1
