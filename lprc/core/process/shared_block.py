"""A state of the whole process that several threads want at once, and the last gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

_State = TypeVar("_State")


class SharedBlock(Generic[_State]):
    """A ``with`` block whose effect lasts from the first thread in it to the last one out of it.

    Blocks may be nested and may overlap between threads in any order.

    Args:
        begin: Takes effect, and returns what `end` needs; called when nobody is in a block.
        end: Takes the effect back.
    """

    def __init__(self, begin: Callable[[], _State], end: Callable[[_State], None]) -> None:
        self._begin, self._end = begin, end
        self._lock = threading.Lock()
        self._states: list[_State] = []
        self._depth = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._states.append(self._begin())
            self._depth += 1

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._end(self._states.pop())
