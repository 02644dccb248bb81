"""Binary search for the first bad one, and for the few that are bad together."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lprc.compiler.bisect.conditions import Verdict

Broken = Callable[[Collection[int]], Collection[int] | None]
"""Given a set of rewrites: those of them that were made if the result is bad, else None."""


def first_bad(good: int, bad: int, verdict: Callable[[int], Verdict]) -> tuple[int, int]:
    """Close in on a change from good to bad, passing over what can't be judged.

    As ``git bisect``, ``skip`` included. Where everything between can be judged, that takes at
    most ``ceil(log2(bad - good))`` looks.

    Args:
        good: A number known to be good.
        bad: A larger one known to be bad.
        verdict: Of a number between.

    Returns:
        A good number and a bad one; nothing between them can be judged.
    """
    unknown: set[int] = set()
    while True:
        between = [position for position in range(good + 1, bad) if position not in unknown]
        if not between:
            return good, bad
        middle = (good + bad) // 2
        at = min(between, key=lambda position: (abs(position - middle), position))
        judged = verdict(at)
        if judged is Verdict.GOOD:
            good = at
        elif judged is Verdict.BAD:
            bad = at
        else:
            unknown.add(at)


def smallest_set(good: int, bad: int, broken: Broken) -> list[int]:
    """The rewrites that are bad together, and none of which can be left out.

    Each round finds one more that is needed, by bisecting the number of rewrites in front of it;
    so that `k` of `n` cost about ``k log2(n) + k`` looks where more rewrites never repair what
    fewer break. Where they do, the result is bad all the same, if larger than it could be. (With
    a single one, delta debugging's ``ddmin`` comes to the same; with few it needs more looks.)

    Args:
        good: The first `good` rewrites are good together.
        bad: The first `bad` are bad together, and no number between could be judged.
        broken: Judges sets of rewrites, numbered from 0.

    Returns:
        Their numbers, sorted.
    """
    needed, pool = list(range(good, bad)), list(range(good))
    while pool:
        rewrites = broken(needed)
        if rewrites is not None:
            needed = sorted(rewrites)
            break
        low, high = first_bad(0, len(pool), _with(pool, needed, broken))
        needed = pool[low:high] + needed
        pool = pool[:low]
    return _without_idle(needed, broken)


def _with(pool: list[int], needed: list[int], broken: Broken) -> Callable[[int], Verdict]:
    """The verdict on the first few of `pool` with `needed`."""

    def verdict(count: int) -> Verdict:
        bad = broken([*pool[:count], *needed]) is not None
        return Verdict.BAD if bad else Verdict.GOOD

    return verdict


_FEW = 16
"""So many are tried without each; with more, that would take longer than the whole search."""


def _without_idle(needed: list[int], broken: Broken) -> list[int]:
    """Leave out those that are not needed."""
    if not 1 < len(needed) <= _FEW:
        return needed
    for each in list(needed):
        fewer = [other for other in needed if other != each]
        if fewer and broken(fewer) is not None:
            needed = fewer
    return needed
