"""Items in threads: order, bounds, errors."""

from __future__ import annotations

import threading
import time

import pytest

from lprc.compiler.frames.overlap import AHEAD, overlapped


def threads() -> int:
    return sum(thread.name == "lprc frames" for thread in threading.enumerate())


def same(item: int) -> int:
    return item


@pytest.mark.parametrize("workers", [1, 3])
def test_items_come_in_their_order_after_the_work(workers: int):
    def uneven(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * 10

    come = list(overlapped(range(20), uneven, workers=workers))
    assert come == [item * 10 for item in range(20)]
    assert threads() == 0


def test_items_are_worked_on_at_the_same_time():
    meeting = threading.Barrier(3, timeout=20)

    def meet(item: int) -> int:
        meeting.wait()
        return item

    assert list(overlapped(range(6), meet, workers=3)) == list(range(6))


def test_no_item_is_taken_while_another_one_is():
    busy = threading.Lock()

    class Items:
        left = 30

        def __iter__(self):
            return self

        def __next__(self) -> int:
            assert busy.acquire(blocking=False)
            time.sleep(0.001)
            busy.release()
            self.left -= 1
            if self.left < 0:
                raise StopIteration
            return self.left

    assert list(overlapped(Items(), same, workers=4)) == list(range(29, -1, -1))


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_are_on_their_way_than_have_room(workers: int):
    taken: list[int] = []

    def items():
        for item in range(1, 201):
            taken.append(item)
            yield item

    most = 0
    for done in overlapped(items(), same, workers=workers):
        time.sleep(0.001)
        most = max(most, len(taken) - done)
    assert 0 < most <= workers * AHEAD


def test_a_slow_item_stops_the_others_where_there_is_no_more_room():
    taken: list[int] = []
    slow = threading.Event()

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    def work(item: int) -> int:
        if item == 0:
            time.sleep(0.3)
            slow.set()
            assert len(taken) <= 2 * AHEAD
        return item

    assert list(overlapped(items(), work, workers=2)) == list(range(100))
    assert slow.is_set()


@pytest.mark.parametrize("where", ["items", "work"])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_where_its_item_would(where: str, workers: int):
    def items():
        yield from (1, 2)
        if where == "items":
            raise ValueError("broken")
        yield from range(3, 50)

    def work(item: int) -> int:
        if item == 3:
            raise ValueError("broken")
        return item

    come = []
    with pytest.raises(ValueError, match="broken"):
        come.extend(overlapped(items(), work, workers=workers))
    assert come == [1, 2]
    assert threads() == 0


def test_a_consumer_may_leave():
    for item in overlapped(iter(int, 1), same, workers=2):
        assert item == 0
        break
    assert threads() == 0
