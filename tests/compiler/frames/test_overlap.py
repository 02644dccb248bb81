"""Steps in threads: order, bounds, errors."""

from __future__ import annotations

import threading
import time

import pytest

from lprc.compiler.frames.overlap import overlapped


def threads() -> int:
    return sum(thread.name == "lprc frames" for thread in threading.enumerate())


def test_items_come_in_their_order_after_all_steps():
    def uneven(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * 10

    assert list(overlapped(range(20), [uneven, str])) == [str(item * 10) for item in range(20)]
    assert threads() == 0


def test_steps_work_at_the_same_time():
    meeting = threading.Barrier(2, timeout=20)

    def first(item: int) -> int:
        if item > 0:
            meeting.wait()  # for the item before it, which is at the second step
        return item

    def second(item: int) -> int:
        if item < 3:
            meeting.wait()
        return item

    assert list(overlapped(range(4), [first, second])) == [0, 1, 2, 3]


def test_no_more_are_on_their_way_than_the_queues_hold():
    taken: list[int] = []

    def items():
        for item in range(1, 201):
            taken.append(item)
            yield item

    most = 0
    for done in overlapped(items(), [lambda item: item] * 3, depth=2):
        time.sleep(0.001)
        most = max(most, len(taken) - done)
    assert most <= (3 + 1) * (2 + 1) + 1


@pytest.mark.parametrize("where", ["items", "step"])
def test_an_error_comes_where_its_item_would(where: str):
    def items():
        yield from (1, 2)
        if where == "items":
            raise ValueError("broken")
        yield 3

    def step(item: int) -> int:
        if item == 3:
            raise ValueError("broken")
        return item

    come = []
    with pytest.raises(ValueError, match="broken"):
        come.extend(overlapped(items(), [step, step]))
    assert come == [1, 2]
    assert threads() == 0


def test_a_consumer_may_leave():
    for item in overlapped(iter(int, 1), [lambda item: item]):
        assert item == 0
        break
    assert threads() == 0
