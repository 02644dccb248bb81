"""Steps that work at once, each on another item: threads with bounded queues between them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 2
"""Items that wait in front of a step, at most."""

_MOMENT = 0.1
"""Seconds after which a thread that waits looks whether it is to end."""

_LONGEST_END = 5.0
"""Seconds that the end waits for a step, which may wait for a camera."""


class _End:
    """No items come behind it."""


@dataclass(frozen=True)
class _Failure:
    """What a step raised."""

    error: BaseException


class _Line(Generic[T]):
    """A row of threads, from the one that takes items to the one before the consumer."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, pull: Callable[[], T | _End]) -> Callable[[], T | _End]:
        """Have a thread call `pull` again and again; what returns its results in their order."""
        results: queue.Queue[T | _End | _Failure] = queue.Queue(self._depth)

        def work() -> None:
            result: T | _End | _Failure = _End()
            while not self._stopping.is_set():
                try:
                    result = pull()
                except BaseException as error:  # noqa: BLE001 - raised where the result is taken
                    result = _Failure(error)
                self._put(results, result)
                if isinstance(result, (_End, _Failure)):
                    return

        def take() -> T | _End:
            result = self._get(results)
            if isinstance(result, _Failure):
                raise result.error
            return result

        thread = threading.Thread(target=work, name="lprc frames", daemon=True)
        self._threads.append(thread)
        thread.start()
        return take

    def end(self) -> None:
        """Have all threads end, whatever they wait for."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_LONGEST_END)

    def _put(self, results: queue.Queue[T | _End | _Failure], result: T | _End | _Failure) -> None:
        while not self._stopping.is_set():
            try:
                results.put(result, timeout=_MOMENT)
            except queue.Full:
                continue
            return

    def _get(self, results: queue.Queue[T | _End | _Failure]) -> T | _End | _Failure:
        while not self._stopping.is_set():
            try:
                return results.get(timeout=_MOMENT)
            except queue.Empty:
                continue
        return _End()


def overlapped(
    items: Iterable[T], steps: Sequence[Callable[[T], T]], *, depth: int = DEPTH
) -> Iterator[T]:
    """Each item after all steps, in the order of the items; none is left out.

    Items and every step have a thread of their own. So no more than
    ``(len(steps) + 1) * (depth + 1) + 1`` items are on their way at once.

    Args:
        items: Taken one by one, in a thread.
        steps: Each is given what the one before it returns.
        depth: Items that wait behind a step, at most.

    Raises:
        BaseException: What the items or a step raise, where the item would come.
    """
    iterator = iter(items)
    line: _Line[T] = _Line(depth)

    def pull() -> T | _End:
        return next(iterator, _End())

    try:
        take = line.add(pull)
        for step in steps:
            take = line.add(partial(_next, take, step))
        while not isinstance(item := take(), _End):
            yield item
    finally:
        line.end()


def _next(take: Callable[[], T | _End], step: Callable[[T], T]) -> T | _End:
    item = take()
    return item if isinstance(item, _End) else step(item)
