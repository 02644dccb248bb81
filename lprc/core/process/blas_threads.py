"""One thread for NumPy's linear algebra while passes run.

With several, products are summed in another order, and results differ in their last bits from one
machine, or one setting of OMP_NUM_THREADS, to the next: other bytes of the same build.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lprc.core.process.shared_block import SharedBlock


def _limit() -> Any:
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


def _lift(limits: Any) -> None:
    limits.restore_original_limits()


_LIMIT = SharedBlock(_limit, _lift)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS at one thread in the block, until the last of all threads leaves such a block."""
    with _LIMIT:
        yield
