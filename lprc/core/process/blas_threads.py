"""One thread for NumPy's linear algebra while passes run.

With several, products are summed in another order, and results differ in their last bits from one
machine, or one setting of OMP_NUM_THREADS, to the next: other bytes of the same build.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Limit:
    """How many blocks of all threads want one thread, and what takes the limit away again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._limits: Any = None

    def begin(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if self._depth == 0:
                self._limits = threadpool_limits(limits=1, user_api="blas")
            self._depth += 1

    def end(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._limits.restore_original_limits()
                self._limits = None


_LIMIT = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS at one thread in the block, until the last of all threads leaves such a block."""
    _LIMIT.begin()
    try:
        yield
    finally:
        _LIMIT.end()
