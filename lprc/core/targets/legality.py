"""Whether a lowered graph obeys a target's rules, checked without the target's SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.targets import (
    legality_graph,
    legality_placement,
    legality_quantization,
    legality_sparsity,
)
from lprc.core.targets.legality_finding import Check
from lprc.core.targets.rules import Rule

CHECKS: dict[str, Check] = {
    **legality_graph.CHECKS,
    **legality_quantization.CHECKS,
    **legality_placement.CHECKS,
    **legality_sparsity.CHECKS,
}
"""What each of `lprc.core.targets.rules.KINDS` checks."""


@dataclass(frozen=True)
class Violation:
    """One place where a graph breaks a rule; `place` names the node and its source node."""

    rule: str
    place: str
    message: str
    remedy: str


def check(model: ir.Model, rules: Sequence[Rule]) -> list[Violation]:
    """All violations of `rules`, in the order of the rules, then of the nodes."""
    return [
        Violation(rule.rule, place, f"{rule.message}{detail}", rule.remedy)
        for rule in rules
        for place, detail in CHECKS[rule.rule](model, **dict(rule.parameters))
    ]
