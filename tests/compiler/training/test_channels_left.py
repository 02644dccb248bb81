"""What pruning left of a weight is found again, or said to be open."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lprc.compiler.training.channels_left import channels_left


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_positions_come_back(rows, columns, seed):
    random = np.random.default_rng(seed)
    whole = random.standard_normal((rows, columns, 2)).astype(np.float32)
    wanted = [np.flatnonzero(random.random(size) < 0.7) for size in whole.shape]
    pruned = whole[np.ix_(*wanted)]
    positions = channels_left(pruned, whole)
    if not pruned.size:
        assert positions is None
        return
    assert [found.tolist() for found in positions] == [found.tolist() for found in wanted]


def test_equal_numbers_leave_it_open():
    assert channels_left(np.ones(2, np.float32), np.ones(3, np.float32)) is None


def test_changed_numbers_are_no_part():
    whole = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert channels_left(whole[:2] + np.float32(0.5), whole) is None
    assert channels_left(whole[:2, ::-1], whole) is not None
    assert channels_left(np.array([[0, 4, 2]], np.float32), whole) is None
