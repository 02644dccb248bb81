"""The layers of the lowered graph: what each computes in, what it costs, how sensitive it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from lprc.compiler.report.findings import Findings
from lprc.compiler.report.graphs import Strings
from lprc.core.costs.statistics import LayerRow, layer_rows
from lprc.core.graph import editing
from lprc.core.graph.operators import QDQ
from lprc.core.graph.printer import type_text
from lprc.core.graph.provenance import origins
from lprc.core.passing.pass_order import State
from lprc.core.quantization.qdq import is_constant, qdq, roots

_PLUMBING = QDQ | {"Constant"}

_COLUMNS = (
    "layer", "operator", "output", "precision", "in float because", "parameters", "MACs",
    "non-zero weights", "SNR in int8 alone (dB)", "from",
)  # fmt: skip
_NUMBERS = frozenset({"parameters", "MACs", "non-zero weights", "SNR in int8 alone (dB)"})


@dataclass(frozen=True)
class LayerTable:
    """The layers as the page's script reads them.

    Attributes:
        columns: Titles, and whether a column holds numbers. Empty columns are left out.
        rows: A text is ``[number]``, a number itself, what is not known None.
    """

    columns: tuple[tuple[str, bool], ...]
    rows: list[list[Any]]


def layer_table(findings: Findings, strings: Strings) -> LayerTable:
    """A row a node of the main graph, without Q/DQ and constants."""
    model = findings.steps[-1].model
    costs = {row.node: row for row in layer_rows(model)}
    noise = {layer.node: layer.snr_db for layer in findings.sensitivity}
    reasons = _reasons(findings)
    rows = [
        [*_texts(node, reasons), *_costs(costs.get(name)), _decibels(noise.get(name)), _from(node)]
        for node in model.graph
        if node.op_type not in _PLUMBING and (name := node.name or "") is not None
    ]
    filled = [at for at in range(len(_COLUMNS)) if any(row[at] not in (None, "") for row in rows)]
    return LayerTable(
        tuple((_COLUMNS[at], _COLUMNS[at] in _NUMBERS) for at in filled),
        [[_cell(row[at], strings) for at in filled] for row in rows],
    )


def _cell(value: str | float | None, strings: Strings) -> Any:
    return [strings.number(value)] if isinstance(value, str) else value


def _texts(node: ir.Node, reasons: Mapping[str, str]) -> tuple[str, ...]:
    output = next((value for value in node.outputs if value.name), None)
    name = node.name or ""
    kind = "" if output is None else type_text(output)
    return name, node.op_type, kind, precision(node), reasons.get(name, "")


def _costs(row: LayerRow | None) -> tuple[float | None, ...]:
    if row is None:
        return None, None, None
    return row.parameters, row.macs, None if row.density is None else round(row.density, 4)


def _decibels(snr: float | None) -> float | None:
    return None if snr is None or not math.isfinite(snr) else round(snr, 1)


def _from(node: ir.Node) -> str:
    return ", ".join(name for name in origins(node) if name != node.name)


def precision(node: ir.Node) -> str:
    """The element types that `node` reads: ``uint8 × int8``, ``float × int8``, ``float16``.

    The second is its weight's. Q/DQ, and operators that only move elements, are looked through.
    """
    read = [_element(value) for value in node.inputs[:1]]
    weight = editing.input_at(node, 1)
    if weight is not None and is_constant(weight) and _is_tensor(weight):
        read.append(_element(weight))
    types = [name for name in read if name]
    return types[0] if set(types) == {"float"} else " × ".join(types)


def _element(value: ir.Value | None) -> str:
    """The types of the integers behind `value`, or its own."""
    found = []
    for root in roots(value):
        pair = qdq(root.producer())
        dtype = root.dtype if pair is None or pair.quantizes else pair.dtype
        found.append("" if dtype is None else dtype.name.lower())
    return " and ".join(dict.fromkeys(found))


def _is_tensor(value: ir.Value) -> bool:
    """Whether it is more than a number that an operator is told: an axis, a bound."""
    pairs = (qdq(root.producer()) for root in roots(value))
    shapes = [
        editing.static_shape(value),
        *(editing.static_shape(each.data) for each in pairs if each),
    ]
    return any(shape is not None and len(shape) > 1 for shape in shapes)


def _reasons(findings: Findings) -> Mapping[str, str]:
    """Why nodes stay in float: by the pass, or by what the runtime made of them."""
    emitter = findings.manifest.get("emitter") or {}
    found = {item["node"]: item["why"] for item in emitter.get("float", ())}
    for record in findings.optimized.records:
        if State.QDQ in record.states:
            found |= {skip.node: skip.reason for skip in record.skips}
    return found
