"""Whether a lowered graph obeys a target's rules, checked without the target's SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from lprc.core import editing
from lprc.core.errors import UsageError
from lprc.core.provenance import describe


@dataclass(frozen=True)
class Rule:
    """One rule of a target.

    Attributes:
        rule: Which of the checks below.
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
        for place, detail in _CHECKS[rule.rule](model, **dict(rule.parameters))
    ]


def rule_from_table(table: dict[str, Any], where: str) -> Rule:
    """A rule from its TOML table.

    Raises:
        UsageError: An unknown rule, or a text missing.
    """
    name = table.get("rule")
    if name not in _CHECKS:
        raise UsageError(
            f"unknown rule '{name}'", where=where, hint=f"known: {', '.join(sorted(_CHECKS))}"
        )
    texts = {key: table.get(key) for key in ("message", "remedy")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise UsageError(f"rule '{name}' needs a message and a remedy", where=where)
    parameters = tuple(
        (key, tuple(value) if isinstance(value, list) else value)
        for key, value in sorted(table.items())
        if key not in ("rule", "message", "remedy")
    )
    return Rule(name, str(texts["message"]), str(texts["remedy"]), parameters)


Finding = tuple[str, str]


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    for graph in editing.graphs(model):
        yield from graph


def _opset_range(model: ir.Model, minimum: int, maximum: int) -> Iterator[Finding]:
    version = editing.opset_version(model)
    if not minimum <= version <= maximum:
        yield "model", f" (opset {version}, not {minimum} to {maximum})"


def _domains(model: ir.Model, allowed: tuple[str, ...]) -> Iterator[Finding]:
    for node in _nodes(model):
        if node.domain not in (*editing.ONNX_DOMAIN, *allowed):
            yield describe(node), f" (domain '{node.domain}')"


def _operators(model: ir.Model, refused: tuple[str, ...]) -> Iterator[Finding]:
    for node in _nodes(model):
        if editing.is_op(node, *refused):
            yield describe(node), ""


def _element_types(model: ir.Model, allowed: tuple[str, ...]) -> Iterator[Finding]:
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.dtype is not None and value.dtype.name not in allowed:
            yield f"'{value.name}'", f" ({value.dtype.name})"


def _kernel_rank(model: ir.Model) -> Iterator[Finding]:
    for node in _nodes(model):
        kernel = node.attributes.get("kernel_shape")
        rank = editing.rank(node.inputs[0]) if kernel is not None and node.inputs else None
        if kernel is not None and rank is not None and len(kernel.value) != rank - 2:
            yield describe(node), f" ({len(kernel.value)} kernel sizes, {rank} dimensions)"


def _no_functions(model: ir.Model) -> Iterator[Finding]:
    for domain, name, _ in model.functions:
        yield f"function '{domain}.{name}'", ""


_CHECKS: dict[str, Callable[..., Iterator[Finding]]] = {
    "opset-range": _opset_range,
    "domains": _domains,
    "refused-operators": _operators,
    "element-types": _element_types,
    "kernel-rank": _kernel_rank,
    "no-functions": _no_functions,
}
