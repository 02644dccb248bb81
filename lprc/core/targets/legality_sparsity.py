"""Rules about sparse weights."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from lprc.core.graph.weight_sparsity import weights
from lprc.core.targets.legality_finding import Check, Finding


def _sparse_weights(model: ir.Model, share: float) -> Iterator[Finding]:
    found = list(weights(model))
    total = sum(weight.array.size for weight in found)
    sparse = [weight for weight in found if weight.has_pattern(2, 4)]
    reached = sum(weight.array.size for weight in sparse) / max(total, 1)
    if reached < share or not sparse:
        detail = f"{len(sparse)} of {len(found)} weights, {reached:.0%} of their elements"
        yield "model", f" ({detail}; {share:.0%} is wanted)"


CHECKS: dict[str, Check] = {
    "sparse-weights": _sparse_weights,
}
"""By the rule that they check."""
