"""Binary search with answers that are missing, and for sets that are bad together only."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lprc.compiler.bisect.conditions import Verdict
from lprc.compiler.bisect.search import first_bad, smallest_set


@given(st.integers(2, 2000), st.data())
def test_first_bad_takes_log2_looks(total, data):
    wanted = data.draw(st.integers(1, total))
    asked = []

    def verdict(number):
        asked.append(number)
        return Verdict.BAD if number >= wanted else Verdict.GOOD

    assert first_bad(0, total, verdict) == (wanted - 1, wanted)
    assert len(asked) <= math.ceil(math.log2(total))
    assert len(set(asked)) == len(asked)


@given(st.integers(2, 60), st.data())
def test_what_cannot_be_judged_widens_the_answer_and_no_more(total, data):
    wanted = data.draw(st.integers(1, total))
    unknown = data.draw(st.sets(st.integers(1, total - 1)))

    def verdict(number):
        if number in unknown:
            return Verdict.UNKNOWN
        return Verdict.BAD if number >= wanted else Verdict.GOOD

    good, bad = first_bad(0, total, verdict)
    assert good < wanted <= bad
    assert all(number in unknown for number in range(good + 1, bad))
    assert good not in unknown
    assert bad not in unknown


def test_neighbours_need_no_look():
    assert first_bad(3, 4, pytest.fail) == (3, 4)


@given(st.sets(st.integers(0, 511), min_size=1, max_size=4))
def test_smallest_set_finds_all_that_are_needed(wanted):
    looks = []

    def broken(numbers):
        looks.append(frozenset(numbers))
        return list(numbers) if wanted <= set(numbers) else None

    last = max(wanted)
    assert smallest_set(last, last + 1, broken) == sorted(wanted)
    # One bisection for each but the last, one look to see that it is enough, one without each.
    assert len(looks) <= 9 * (len(wanted) - 1) + 2 * len(wanted)


def test_smallest_set_leaves_out_what_a_wide_start_took_in():
    """Where no number between 3 and 7 could be judged, 3 to 6 are suspects at first."""
    made = smallest_set(3, 7, lambda numbers: list(numbers) if {1, 5} <= set(numbers) else None)
    assert made == [1, 5]


def test_rewrites_that_come_to_nothing_do_not_count():
    """Some asked for are not made, as they need others; the answer has what was made."""
    made = smallest_set(4, 6, lambda numbers: [5] if 5 in numbers else None)
    assert made == [5]


def test_repairs_give_a_set_that_is_bad_all_the_same():
    """Rewrite 2 repairs what 1 and 4 break, unless 3 is there."""

    def broken(numbers):
        found = set(numbers)
        bad = {1, 4} <= found and (2 not in found or 3 in found)
        return list(numbers) if bad else None

    made = smallest_set(4, 5, broken)
    assert broken(made) is not None
    assert set(made) == {1, 4}
