"""Whether a lowered graph obeys a target's rules, checked without the target's SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.targets import (
    legality_graph,
    legality_placement,
    legality_quantization,
    legality_sparsity,
)
from lprc.core.targets.legality_kinds import REQUIRED, Kind, Parameter

KINDS: dict[str, Kind] = {
    **legality_graph.KINDS,
    **legality_quantization.KINDS,
    **legality_placement.KINDS,
    **legality_sparsity.KINDS,
}
"""Every kind of rule, by the name that a target's TOML uses."""


@dataclass(frozen=True)
class Rule:
    """One rule of a target.

    Attributes:
        rule: Which of `KINDS`.
        message: What is wrong where it is broken.
        remedy: What to do then.
        parameters: What the check needs, for instance ``(("minimum", 13), ("maximum", 23))``.
    """

    rule: str
    message: str
    remedy: str
    parameters: tuple[tuple[str, Any], ...] = ()


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
        for place, detail in KINDS[rule.rule].check(model, **dict(rule.parameters))
    ]


def rule_from_table(table: dict[str, Any], where: str) -> Rule:
    """A rule from its TOML table.

    Raises:
        UsageError: An unknown rule, a text missing, or a parameter missing, unknown or ill-typed.
    """
    name = table.get("rule")
    if not isinstance(name, str) or name not in KINDS:
        raise UsageError(
            f"unknown rule '{name}'", where=where, hint=f"known: {', '.join(sorted(KINDS))}"
        )
    texts = {key: table.get(key) for key in ("message", "remedy")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise UsageError(f"rule '{name}' needs a message and a remedy", where=where)
    given = {key: value for key, value in table.items() if key not in ("rule", *texts)}
    parameters = _parameters(given, KINDS[name].parameters, f"{where}: rule '{name}'")
    return Rule(name, str(texts["message"]), str(texts["remedy"]), parameters)


def _parameters(
    given: dict[str, Any], wanted: Mapping[str, Parameter], where: str
) -> tuple[tuple[str, Any], ...]:
    unknown = sorted(set(given) - set(wanted))
    if unknown:
        hint = f"known: {', '.join(wanted)}" if wanted else "it takes none"
        raise UsageError(f"unknown parameter '{unknown[0]}'", where=where, hint=hint)
    missing = [
        key
        for key, parameter in wanted.items()
        if key not in given and parameter.default is REQUIRED
    ]
    if missing:
        raise UsageError(f"parameter '{missing[0]}' is missing", where=where)
    return tuple(
        (key, parameter.read(given[key], f"{where}: {key}") if key in given else parameter.default)
        for key, parameter in wanted.items()
    )
