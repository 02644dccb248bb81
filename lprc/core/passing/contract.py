"""What a pass promises about the outputs of the graph it rewrites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["exact", "approximate", "lossy"]


@dataclass(frozen=True)
class Contract:
    """A promise that the pass manager can check by running the graph before and after.

    Attributes:
        kind: ``exact`` (the same outputs up to float rounding), ``approximate`` (the same up to
            `tolerance`) or ``lossy`` (judged by a metric of the task, not by the outputs).
        tolerance: The largest allowed ``max|after - before| / max|before|`` of an output.
        metric: The metric that judges a lossy pass.
        batch: The one batch size at which the promise holds, if it does not hold at every size.
    """

    kind: Kind
    tolerance: float = 0.0
    metric: str | None = None
    batch: int | None = None

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


def exact_at_batch(batch: int) -> Contract:
    """A promise that holds at one batch size: a declared change of what a larger batch means."""
    return Contract("exact", tolerance=EXACT_TOLERANCE, batch=batch)


def approximate(tolerance: float) -> Contract:
    """A promise that outputs stay within `tolerance` of the largest magnitude before."""
    return Contract("approximate", tolerance=tolerance)


def lossy(metric: str) -> Contract:
    """A promise about `metric` (for instance ``accuracy``) and not about outputs."""
    return Contract("lossy", metric=metric)
