"""Measuring on devices behind TVM's tracker: here a tracker and two servers on loopback."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("tvm.s_tir", reason="apache-tvm is not installed")
pytest.importorskip("tornado", reason="TVM's tracker needs tornado, which is not installed")

from processes import start
from tvm_kernels import calling, conv_function, module_of, relu_function, this_machine

from lprc.core.process.exchange import Failure
from lprc.targets.tvm_backend import rpc, tuning
from lprc.targets.tvm_backend.database import open_records
from lprc.targets.tvm_backend.measuring_pool import Limits, MeasuringPool, Tracker
from lprc.targets.tvm_backend.tuning import TuningSettings

KEY, HOST = "lprc-test", "127.0.0.1"


@contextmanager
def process(*arguments: str, log: Path) -> Iterator[None]:
    """A process of TVM, ended with all that it has started."""
    with log.open("wb") as file:
        started = start(
            [sys.executable, "-m", *arguments],
            stdout=file,
            stderr=file,
            start_new_session=True,
            environment={"TVM_NUM_THREADS": "1"},
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    logs = tmp_path_factory.mktemp("rpc")
    port = free_port()
    with ExitStack() as stack:
        where = ["--host", HOST, "--port", str(port), "--port-end", str(port + 1)]
        stack.enter_context(process("tvm.exec.rpc_tracker", *where, log=logs / "tracker"))
        tracker = Tracker(HOST, port, KEY)
        wait_for(tracker, 0, logs)  # a server that finds no tracker waits five seconds
        for index in range(2):
            own = free_port()
            where = ["--host", HOST, "--port", str(own), "--port-end", str(own + 1)]
            known = ["--tracker", f"{HOST}:{port}", "--key", KEY]
            arguments = ("tvm.exec.rpc_server", *where, *known)
            stack.enter_context(process(*arguments, log=logs / f"server{index}"))
        wait_for(tracker, 2, logs)
        yield tracker


def wait_for(tracker: Tracker, count: int, logs: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if rpc.devices(tracker) == count:
                return
        except Failure as failure:
            if count == 0 and failure.option == "rpc-key":
                return
        time.sleep(0.2)
    pytest.fail("\n".join(each.read_text() for each in sorted(logs.iterdir())))


def test_tuning_measures_on_both_devices(tracker: Tracker, tmp_path: Path) -> None:
    module = module_of(("conv", conv_function()), ("relu", relu_function()))
    target = this_machine()
    rpc_settings = [tracker.host, tracker.port, tracker.key]
    with open_records([], tmp_path) as records:
        settings = TuningSettings(trials=8, rpc=rpc_settings, batch=4)
        report = tuning.tune(module, target, settings, records)
        assert records.chosen(module, target).keys() == {"conv", "relu"}
    assert report.measured == 8
    assert [each.failures for each in report.tasks] == [0, 0]
    assert all(each.best_seconds and each.best_seconds < 1e-3 for each in report.tasks)


def test_candidates_that_crash_or_hang_cost_only_themselves(tracker: Tracker) -> None:
    """A crash ends TVM's server on that device (0.27: `_serving` raises): the other one goes on."""
    with MeasuringPool(1, 1, tracker, Limits(run=3)) as pool:
        for bad in (("sleep", 100), ("abort", 0)):
            keys = pool.build([calling(*bad), calling("abs", 1)])
            failed, good = pool.run([key for key in keys if isinstance(key, int)])
            assert failed.seconds is None
            assert failed.error
            assert good.seconds is not None
    assert rpc.devices(tracker) >= 1


def test_a_key_that_the_tracker_does_not_have_is_named(tracker: Tracker) -> None:
    with pytest.raises(Failure, match=f"no device 'board'.*{KEY}") as caught:
        rpc.devices(Tracker(HOST, tracker.port, "board"))
    assert caught.value.option == "rpc-key"


def test_a_tracker_that_is_not_there_is_named() -> None:
    port = free_port()
    with pytest.raises(Failure, match=f"no tracker answers at {HOST}:{port}") as caught:
        rpc.devices(Tracker(HOST, port, KEY))
    assert caught.value.option == "rpc-tracker"
