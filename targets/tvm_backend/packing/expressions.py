"""Shapes, types and numbers of Relax's expressions."""

from __future__ import annotations

from typing import Any

from tvm import relax, tirx
from tvm.ir import GenericConst


def shape_of(expression: Any) -> tuple[int, ...] | None:
    """The shape of an expression, where it is one tensor of known sizes."""
    sizes = getattr(getattr(expression, "ty", None), "shape", None)
    if sizes is None or not all(isinstance(each, int | tirx.IntImm) for each in sizes):
        return None
    return tuple(int(each) for each in sizes)


def dtype_of(expression: Any) -> str:
    """The element type of a tensor."""
    return str(getattr(expression.ty, "dtype", ""))


def numbers(values: Any) -> list[int]:
    """Sizes, steps and the like as integers."""
    return [int(each) for each in values]


def constants_only(call: Any) -> bool:
    """Whether all arguments are constants."""
    return all(isinstance(each, GenericConst | relax.ShapeExpr) for each in call.args)
