"""The effect of a shared block begins with the first thread and ends with the last."""

from __future__ import annotations

import gc
import threading

import pytest

from lprc.core.process.collector import collector_paused
from lprc.core.process.shared_block import SharedBlock


@pytest.fixture
def events():
    return []


@pytest.fixture
def block(events):
    return SharedBlock(lambda: events.append("begin") or len(events), lambda n: events.append(n))


def test_nested_blocks_are_one(block, events):
    with block, block:
        assert events == ["begin"]
    assert events == ["begin", 1]


def test_the_last_thread_ends_it(block, events):
    entered, may_leave = threading.Event(), threading.Event()

    def other():
        with block:
            entered.set()
            may_leave.wait(10)

    thread = threading.Thread(target=other)
    with block:
        thread.start()
        assert entered.wait(10)
    assert events == ["begin"]
    may_leave.set()
    thread.join()
    assert events == ["begin", 1]


def test_an_error_in_the_block_ends_it_too(block, events):
    with pytest.raises(KeyError), block:
        raise KeyError
    assert events == ["begin", 1]


def test_what_can_not_begin_has_not_begun(events):
    def begin():
        events.append("begin")
        raise KeyError

    block = SharedBlock(begin, lambda state: events.append("end"))
    for _ in range(2):
        with pytest.raises(KeyError), block:
            pass
    assert events == ["begin", "begin"]


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_collector_is_as_it_was(was_enabled):
    before = gc.isenabled()
    (gc.enable if was_enabled else gc.disable)()
    try:
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled() == was_enabled
    finally:
        (gc.enable if before else gc.disable)()
