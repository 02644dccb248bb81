"""What a pass promises about the outputs of the graph it rewrites.

An `exact` pass promises, for every input on which the graph's values stay in the pass's domain:

- the outputs have the same names, types and shapes;
- integers, Booleans and strings are equal;
- floating-point numbers are equal up to rounding; 0 and -0 are equal.

The domain says for which values that holds:

- ``everywhere``: passes that only move, merge or drop nodes. NaN stays NaN, and an infinity keeps
  its sign.
- ``finite``: passes that put one operator in the place of another. ``LeakyRelu`` with slope 0 makes
  NaN of -Inf where Relu makes 0; ``Clip`` without a bound makes the largest finite number of Inf; a
  MaxPool takes no notice of NaN.
- ``in range``: passes that compute weights anew or reorder sums. ``W x`` scaled by ``k`` may
  overflow, or lose digits below the smallest normal number, where ``(k W) x`` does not. Every value
  is then finite and no larger than the contract's `largest`, and no product of two values is
  smaller than the smallest normal number without being zero; that number itself is as good as zero.
  The weights that such a pass writes neither overflow nor lose digits that count: it checks that,
  in their own type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["exact", "approximate", "lossy"]
Domain = Literal["everywhere", "finite", "in range"]

LARGEST_ACTIVATION = 2.0**64
"""What `exact` holds for at most; the largest power of two whose square is a finite float32."""


@dataclass(frozen=True)
class Contract:
    """A promise that the pass manager can check by running the graph before and after.

    Attributes:
        kind: ``exact`` (the same outputs up to float rounding), ``approximate`` (the same up to
            `tolerance`) or ``lossy`` (judged by a metric of the task, not by the outputs).
        tolerance: The largest allowed ``max|after - before| / max|before|`` of an output.
        metric: The metric that judges a lossy pass.
        batch: The one batch size at which the promise holds, if it does not hold at every size.
        domain: Where the promise of an exact pass holds; see the module's text.
        largest: The largest magnitude that a value ``in range`` has.
    """

    kind: Kind
    tolerance: float = 0.0
    metric: str | None = None
    batch: int | None = None
    domain: Domain = "in range"
    largest: float = LARGEST_ACTIVATION

    def __str__(self) -> str:
        """The promise in words, as ``lprc passes`` prints it."""
        text = {
            "exact": "exact",
            "approximate": f"approximate({self.tolerance:g})",
            "lossy": f"lossy({self.metric})",
        }[self.kind]
        return text if self.batch is None else f"{text} at batch {self.batch}"


# Reassociating the sums of a 25-layer CNN in float32 moves its outputs by about 1e-5 of their
# magnitude; a wrong weight moves them by 1e-3 or more.
EXACT_TOLERANCE = 1e-4

exact = Contract("exact", tolerance=EXACT_TOLERANCE)

exact_up_to_2_24 = Contract("exact", tolerance=EXACT_TOLERANCE, largest=2.0**24)
"""For passes that tell constants from what depends on the input."""

exact_if_finite = Contract("exact", tolerance=EXACT_TOLERANCE, domain="finite")

exact_everywhere = Contract("exact", tolerance=EXACT_TOLERANCE, domain="everywhere")


def exact_at_batch(batch: int) -> Contract:
    """A promise that holds at one batch size: a declared change of what a larger batch means."""
    return Contract("exact", tolerance=EXACT_TOLERANCE, batch=batch)


def approximate(tolerance: float) -> Contract:
    """A promise that outputs stay within `tolerance` of the largest magnitude before."""
    return Contract("approximate", tolerance=tolerance)


def lossy(metric: str) -> Contract:
    """A promise about `metric` (for instance ``accuracy``) and not about outputs."""
    return Contract("lossy", metric=metric)
