"""Threads that begin together: the clock, failures, and that nobody is left behind."""

from __future__ import annotations

import threading
import time

import pytest

from lprc.core.process.together import together


def test_the_clock_begins_when_all_are_warm():
    begun = []

    def work(wait):
        time.sleep(0.2 * len(begun))
        begun.append(0.0)
        wait()
        time.sleep(0.1)

    assert 0.1 <= together([work, work, work], threading.Event()) < 0.3


@pytest.mark.parametrize("is_late", [False, True])
def test_what_one_raises_is_raised(is_late):
    def good(wait):
        wait()

    def bad(wait):
        if is_late:
            wait()
        raise ValueError("no good")

    running = threading.active_count()
    with pytest.raises(ValueError, match="no good"):
        together([good, bad], threading.Event())
    assert threading.active_count() == running
