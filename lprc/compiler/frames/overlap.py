"""Items worked on by several threads at once, each item from its beginning to its end by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 2
"""Items that are on their way at once, at most, for each thread."""

_MOMENT = 0.1
"""Seconds after which a thread that waits looks whether it is to end."""

_LONGEST_END = 5.0
"""Seconds that the end waits for the threads, one of which may wait for a camera."""


class _End:
    """No items come behind it."""


@dataclass(frozen=True)
class _Failure:
    """What the items or the work raised."""

    error: BaseException


class _Crew(Generic[T]):
    """Threads that take numbered items in turns, and lay down what became of each."""

    def __init__(self, items: Iterable[T], work: Callable[[T], T], workers: int) -> None:
        self._items, self._work = iter(items), work
        self._taking = threading.Lock()
        self._taken, self._over = 0, False
        self._changed = threading.Condition()
        self._results: dict[int, T | _End | _Failure] = {}
        self._room = workers * AHEAD
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name="lprc frames", daemon=True)
            for _ in range(workers)
        ]

    def begin(self) -> None:
        """Have all threads work."""
        for thread in self._threads:
            thread.start()

    def result(self, number: int) -> T | _End | _Failure:
        """What became of an item; its place is free for another one."""
        with self._changed:
            while number not in self._results:
                self._changed.wait(_MOMENT)
            result = self._results.pop(number)
            self._room += 1
            self._changed.notify_all()
        return result

    def end(self) -> None:
        """Have all threads end, whatever they wait for."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        latest = time.monotonic() + _LONGEST_END
        for thread in self._threads:
            thread.join(max(0.0, latest - time.monotonic()))

    def _run(self) -> None:
        while self._has_room():
            with self._taking:
                if self._over or self._stopping:
                    return
                number, item = self._taken, self._next()
                self._taken += 1
                self._over = isinstance(item, (_End, _Failure))
            self._lay_down(number, self._worked(item))

    def _next(self) -> T | _End | _Failure:
        try:
            return next(self._items, _End())
        except BaseException as error:  # noqa: BLE001 - raised where the item is taken
            return _Failure(error)

    def _worked(self, item: T | _End | _Failure) -> T | _End | _Failure:
        if isinstance(item, (_End, _Failure)):
            return item
        try:
            return self._work(item)
        except BaseException as error:  # noqa: BLE001 - raised where the item is taken
            return _Failure(error)

    def _has_room(self) -> bool:
        """Wait for room for one more item, and take it; no where all is to end."""
        with self._changed:
            while not self._stopping and not self._over and not self._room:
                self._changed.wait(_MOMENT)
            self._room -= 1
            return not self._stopping and not self._over

    def _lay_down(self, number: int, result: T | _End | _Failure) -> None:
        with self._changed:
            self._results[number] = result
            self._changed.notify_all()


def overlapped(items: Iterable[T], work: Callable[[T], T], *, workers: int) -> Iterator[T]:
    """Each item as `work` returns it, in the order of the items; none is left out.

    A thread takes an item, which no other does meanwhile, and works on it while others take and
    work on theirs. So threads meet twice an item, however many steps the work has, and none waits
    for a slower step. No more than ``workers * AHEAD + 1`` items are on their way at once.

    Args:
        items: Taken one by one, each in some thread.
        work: What is done with each, in several threads at once.
        workers: How many threads.

    Raises:
        BaseException: What the items or the work raise, where the item would come.
    """
    crew = _Crew(items, work, workers)
    try:
        crew.begin()
        number = 0
        while not isinstance(result := crew.result(number), _End):
            if isinstance(result, _Failure):
                raise result.error
            number += 1
            yield result
    finally:
        crew.end()
