"""Which inputs and outputs of an operator may be float16, read from the ONNX schemas."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import onnx
import onnx_ir as ir

from lprc.core.graph import editing

_FIXED = frozenset([("Resize", 1), ("Resize", 2), ("Dropout", 1)])
"""Inputs that stay float32 although the schema would allow float16: roi, scales and ratio."""


def is_float(value: ir.Value | None) -> bool:
    """Whether `value` is a float32 tensor."""
    return (
        value is not None
        and isinstance(value.type, ir.TensorType)
        and value.dtype == ir.DataType.FLOAT
    )


def half_inputs(node: ir.Node, opset: int) -> Iterator[tuple[int, ir.Value]]:
    """The float32 inputs that may become float16, with their positions."""
    allowed = _allowed(node, opset).inputs
    for index, value in enumerate(node.inputs):
        fixed = (node.op_type, index) in _FIXED
        if value is not None and is_float(value) and _at(allowed, index) and not fixed:
            yield index, value


def half_outputs(node: ir.Node, opset: int) -> Iterator[ir.Value]:
    """The float32 outputs that may become float16."""
    allowed = _allowed(node, opset).outputs
    for index, value in enumerate(node.outputs):
        if is_float(value) and _at(allowed, index):
            yield value


def has_unknown_types(node: ir.Node, opset: int) -> bool:
    """Whether an input or output that might be float32 has no type."""
    allowed = _allowed(node, opset)
    return any(
        value is not None and value.name and value.type is None and _at(ports, index)
        for values, ports in ((node.inputs, allowed.inputs), (node.outputs, allowed.outputs))
        for index, value in enumerate(values)
    )


def _at(allowed: tuple[bool, ...], index: int) -> bool:
    return bool(allowed) and allowed[min(index, len(allowed) - 1)]


class _Allowed(NamedTuple):
    """Whether each formal input and output may be float16; the last may stand for many."""

    inputs: tuple[bool, ...] = ()
    outputs: tuple[bool, ...] = ()


def _allowed(node: ir.Node, opset: int) -> _Allowed:
    return _of_schema(node.op_type, opset) if node.domain in editing.ONNX_DOMAIN else _Allowed()


@functools.lru_cache(maxsize=1024)
def _of_schema(op_type: str, opset: int) -> _Allowed:
    try:
        schema = onnx.defs.get_schema(op_type, opset, "")
    except onnx.defs.SchemaError:
        return _Allowed()
    half = {
        constraint.type_param_str
        for constraint in schema.type_constraints
        if "tensor(float16)" in constraint.allowed_type_strs
    }
    return _Allowed(
        tuple(parameter.type_str in half for parameter in schema.inputs),
        tuple(parameter.type_str in half for parameter in schema.outputs),
    )
