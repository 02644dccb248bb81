"""Rules about operators, types and versions, whatever the graph computes in."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.provenance import describe
from lprc.core.targets.legality_finding import Check, Finding, nodes


def _opset_range(model: ir.Model, minimum: int, maximum: int) -> Iterator[Finding]:
    version = editing.opset_version(model)
    if not minimum <= version <= maximum:
        yield "model", f" (opset {version}, not {minimum} to {maximum})"


def _domains(model: ir.Model, allowed: tuple[str, ...]) -> Iterator[Finding]:
    for node in nodes(model):
        if node.domain not in (*editing.ONNX_DOMAIN, *allowed):
            yield describe(node), f" (domain '{node.domain}')"


def _operators(model: ir.Model, refused: tuple[str, ...]) -> Iterator[Finding]:
    for node in nodes(model):
        if editing.is_op(node, *refused):
            yield describe(node), ""


def _element_types(model: ir.Model, allowed: tuple[str, ...]) -> Iterator[Finding]:
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.dtype is not None and value.dtype.name not in allowed:
            yield f"'{value.name}'", f" ({value.dtype.name})"


def _static_shapes(model: ir.Model) -> Iterator[Finding]:
    for value in model.graph.inputs:
        if value.is_initializer() or (value.shape is not None and value.shape.is_static()):
            continue
        yield f"input '{value.name}'", f" ({value.shape or 'of unknown rank'})"


def _kernel_rank(model: ir.Model) -> Iterator[Finding]:
    for node in nodes(model):
        kernel = node.attributes.get("kernel_shape")
        rank = editing.rank(node.inputs[0]) if kernel is not None and node.inputs else None
        if kernel is not None and rank is not None and len(kernel.value) != rank - 2:
            yield describe(node), f" ({len(kernel.value)} kernel sizes, {rank} dimensions)"


def _no_functions(model: ir.Model) -> Iterator[Finding]:
    for domain, name, _ in model.functions:
        yield f"function '{domain}.{name}'", ""


CHECKS: dict[str, Check] = {
    "opset-range": _opset_range,
    "domains": _domains,
    "refused-operators": _operators,
    "element-types": _element_types,
    "kernel-rank": _kernel_rank,
    "no-functions": _no_functions,
    "static-shapes": _static_shapes,
}
"""By the rule that they check."""
