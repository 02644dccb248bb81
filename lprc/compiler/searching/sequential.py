"""When to stop looking at samples: a candidate that loses too much shows it early."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

ERROR = 0.01
"""How often a candidate that loses just what it may is stopped, at most about."""

MARGIN = 0.05
"""How much more than allowed the alternative loses, as a share of the samples."""

_GRID = 200
_FEWEST = 20


def loses_too_much(
    reference: Sequence[bool], ours: Sequence[bool], max_drop: float, *, total: int
) -> bool:
    """Whether samples so far say that a candidate loses more than `max_drop`.

    Two reasons: it can't be otherwise, even if it had all further samples right; or Wald's
    sequential probability ratio test ("Sequential tests of statistical hypotheses", Annals of
    Mathematical Statistics 1945) decides for a drop of `max_drop` + `MARGIN` against `max_drop`.
    A pair of answers is lost, won or equal; how often they differ at all is not known, and each
    hypothesis gets the rate that suits it best.

    Args:
        reference: Which samples the reference has right.
        ours: Which ones the candidate has right; the same samples, in random order.
        max_drop: How much of the share of right samples may go.
        total: How many samples there are in all.
    """
    lost = sum(r and not o for r, o in zip(reference, ours, strict=True))
    won = sum(o and not r for r, o in zip(reference, ours, strict=True))
    rest = total - len(ours)
    if lost - won - rest > max_drop * total + 1e-9:
        return True
    if len(ours) < _FEWEST:
        return False
    same = len(ours) - lost - won
    evidence = _likelihood(lost, won, same, max_drop + MARGIN) - _likelihood(
        lost, won, same, max_drop
    )
    return evidence >= math.log(1 / ERROR)


def _likelihood(lost: int, won: int, same: int, drop: float) -> float:
    """The greatest log-likelihood of the counts where the share lost less that won is `drop`."""
    rates = np.linspace(max(drop, 1e-6), 1.0, _GRID + 2)[1:-1]
    terms = same * np.log1p(-rates)
    terms += lost * np.log((rates + drop) / 2)
    terms += won * np.log((rates - drop) / 2)
    return float(terms.max())
