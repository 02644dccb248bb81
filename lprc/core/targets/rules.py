"""The kinds of rules that a target's TOML may name, and what each one is told.

What they check is in `lprc.core.targets.legality`; a file of targets is read without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from lprc.core.errors import UsageError
from lprc.core.files.checked import StrictTable, WrongValue, checked


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


class RuleTable(StrictTable):
    """What all kinds of rules have."""

    rule: str
    message: str
    remedy: str


ELEMENT_TYPES = frozenset(
    (
        "BFLOAT16", "BOOL", "COMPLEX128", "COMPLEX64", "DOUBLE", "FLOAT", "FLOAT16", "FLOAT4E2M1",
        "FLOAT6E2M3", "FLOAT6E3M2", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ", "FLOAT8E8M0", "INT16",
        "INT2", "INT32", "INT4", "INT64", "INT8", "STRING", "UINT16", "UINT2", "UINT32", "UINT4",
        "UINT64", "UINT8",
    )
)  # fmt: skip
"""ONNX's element types."""


def _element_type(name: str) -> str:
    if name not in ELEMENT_TYPES:
        raise WrongValue(f"unknown element type '{name}'", "for instance INT8, FLOAT16")
    return name


# TOML has lists; what a rule holds is never changed.
Names = Annotated[tuple[str, ...], Field(strict=False)]
ElementTypes = Annotated[
    tuple[Annotated[str, AfterValidator(_element_type)], ...], Field(strict=False)
]


class OpsetRange(RuleTable):
    """The version of ONNX's operators is in a range, both ends included."""

    minimum: int
    maximum: int


class Domains(RuleTable):
    """No operator is of another domain than ONNX's own and those allowed."""

    allowed: Names


class RefusedOperators(RuleTable):
    """None of these operators of ONNX is in the graph."""

    refused: Names


class InterfaceTypes(RuleTable):
    """Inputs and outputs have one of these element types."""

    allowed: ElementTypes


class QdqZeroPoint(RuleTable):
    """Zero points."""

    allowed: Literal["zero", "any"]


class QdqTypes(RuleTable):
    """Quantised types of activations and of weights."""

    activations: ElementTypes
    weights: ElementTypes


class QdqScale(RuleTable):
    """Scales, also once they are float16 where `float16` says so."""

    float16: bool = False


class QdqAxis(RuleTable):
    """Where several scales are allowed: along an axis, and in blocks."""

    axes: Literal["none", "weights", "any"]
    blocks: Literal["none", "weights", "any"] = "none"


class QdqBias(RuleTable):
    """Biases."""

    allowed: Literal["float", "int32", "any"]


class QdqDangling(RuleTable):
    """How Q and DQ stand to each other and to activations."""

    pairs: Literal["equal", "any"] = "equal"
    activations: Literal["allowed", "refused"] = "allowed"


class SparseWeights(RuleTable):
    """The share of the weights' elements that lie in weights with the pattern 2:4."""

    share: Annotated[float, Field(ge=0, le=1)]


KINDS: dict[str, type[RuleTable]] = {
    "domains": Domains,
    "element-types": InterfaceTypes,
    "kernel-rank": RuleTable,
    "no-functions": RuleTable,
    "opset-range": OpsetRange,
    "qdq-axis": QdqAxis,
    "qdq-bias": QdqBias,
    "qdq-dangling": QdqDangling,
    "qdq-opset": RuleTable,
    "qdq-scale": QdqScale,
    "qdq-types": QdqTypes,
    "qdq-zero-point": QdqZeroPoint,
    "refused-operators": RefusedOperators,
    "sparse-weights": SparseWeights,
    "static-shapes": RuleTable,
}
"""By the name that a target's TOML uses."""


def rule_from_table(table: dict[str, Any], where: str) -> Rule:
    """A rule from its TOML table.

    Raises:
        UsageError: An unknown rule, or a key that is missing, unknown or ill-typed.
    """
    name = table.get("rule")
    if not isinstance(name, str) or name not in KINDS:
        raise UsageError(f"unknown rule '{name}'", where=where, hint=f"known: {', '.join(KINDS)}")
    kind = KINDS[name]
    rule = checked(kind, table, where=f"{where}: rule '{name}'", error=UsageError)
    parameters = tuple(
        (key, getattr(rule, key)) for key in kind.model_fields if key not in RuleTable.model_fields
    )
    return Rule(name, rule.message, rule.remedy, parameters)
