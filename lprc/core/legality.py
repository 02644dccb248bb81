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
        UsageError: An unknown rule, a text missing, or a parameter missing, unknown or ill-typed.
    """
    name = table.get("rule")
    if not isinstance(name, str) or name not in _CHECKS:
        raise UsageError(
            f"unknown rule '{name}'", where=where, hint=f"known: {', '.join(sorted(_CHECKS))}"
        )
    texts = {key: table.get(key) for key in ("message", "remedy")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise UsageError(f"rule '{name}' needs a message and a remedy", where=where)
    given = {key: value for key, value in table.items() if key not in ("rule", *texts)}
    parameters = _parameters(given, _PARAMETERS[name], f"{where}: rule '{name}'")
    return Rule(name, str(texts["message"]), str(texts["remedy"]), parameters)


def _parameters(
    given: dict[str, Any], wanted: tuple[str, ...], where: str
) -> tuple[tuple[str, Any], ...]:
    unknown = sorted(set(given) - set(wanted))
    if unknown:
        hint = f"known: {', '.join(wanted)}" if wanted else "it takes none"
        raise UsageError(f"unknown parameter '{unknown[0]}'", where=where, hint=hint)
    missing = [key for key in wanted if key not in given]
    if missing:
        raise UsageError(f"parameter '{missing[0]}' is missing", where=where)
    return tuple((key, _READERS[key](given[key], f"{where}: {key}")) for key in wanted)


def _whole_number(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError("must be a whole number", where=where)
    return value


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError("must be a list of strings", where=where)
    return tuple(value)


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

_PARAMETERS: dict[str, tuple[str, ...]] = {
    "opset-range": ("minimum", "maximum"),
    "domains": ("allowed",),
    "refused-operators": ("refused",),
    "element-types": ("allowed",),
    "kernel-rank": (),
    "no-functions": (),
}

_READERS: dict[str, Callable[[Any, str], Any]] = {
    "minimum": _whole_number,
    "maximum": _whole_number,
    "allowed": _names,
    "refused": _names,
}
