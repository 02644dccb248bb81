"""Rules about sparse weights."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph.weight_sparsity import weights
from lprc.core.targets.legality_kinds import Finding, Kind, Parameter


def _sparse_weights(model: ir.Model, share: float) -> Iterator[Finding]:
    found = list(weights(model))
    total = sum(weight.array.size for weight in found)
    sparse = [weight for weight in found if weight.has_pattern(2, 4)]
    reached = sum(weight.array.size for weight in sparse) / max(total, 1)
    if reached < share or not sparse:
        detail = f"{len(sparse)} of {len(found)} weights, {reached:.0%} of their elements"
        yield "model", f" ({detail}; {share:.0%} is wanted)"


def _share(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise UsageError("must be a number from 0 to 1", where=where)
    return float(value)


KINDS: dict[str, Kind] = {"sparse-weights": Kind(_sparse_weights, {"share": Parameter(_share)})}
"""By the name that a target's TOML uses."""
