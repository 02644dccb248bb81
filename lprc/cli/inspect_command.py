"""``lprc inspect``: what a model or an artefact is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.compiler.explain.inspection import Inspection, Legality, Port
    from lprc.core.costs.statistics import LayerRow


@click.command("inspect")
@click.argument("model", metavar="MODEL|ARTEFACT", type=PathArgument)
@click.option("--layers", is_flag=True, help="List the layers: shapes, costs, sparsity.")
@json_option
@debug_option
def command(model: Path, layers: bool, as_json: bool) -> None:
    """Show operators, shapes, costs, sparsity and quantisation, and which targets take it.

    Of an artefact the lowered graph is looked at. Nothing is run, and no SDK is needed.
    """
    from lprc.compiler.explain.inspection import inspect_model

    inspection = inspect_model(model)
    if as_json:
        console.print_json(inspection.document())
        return
    out = console.stdout()
    out.print(console.facts(_facts(inspection)))
    if layers:
        say()
        out.print(console.table(_LAYER_COLUMNS, [_layer(row) for row in inspection.layers]))
    say()
    columns = ["target", "as it is", "first violation"]
    out.print(console.table(columns, [_target(verdict) for verdict in inspection.legality]))


_LAYER_COLUMNS = [
    "layer", "operator", "output", "type", ">parameters", ">MACs", ">density", "N:M",
    "2:4 on sparse tensor cores",
]  # fmt: skip


def _facts(inspection: Inspection) -> list[tuple[str, str]]:
    sums = inspection.statistics
    rows = [("model", f"{inspection.model}, {_sizes(inspection)}")]
    if inspection.artefact is not None:
        rows.append(("artefact", f"{inspection.artefact.get('target')}"))
    rows += [
        ("written by", inspection.producer or "unknown"),
        ("opset", ", ".join(f"{name} {version}" for name, version in inspection.opsets.items())),
        *(("input", _port(port)) for port in inspection.inputs),
        *(("output", _port(port)) for port in inspection.outputs),
        ("nodes", f"{sums.nodes}: {_counts(inspection.operators)}"),
        ("parameters", f"{sums.parameters:,} ({console.size_text(sums.weight_bytes)})"),
        ("density", _density(sums.nonzero_parameters, sums.parameters)),
        ("MACs", f"{sums.macs:,}{_uncounted(sums.uncounted)}"),
        ("activations", f"{console.size_text(sums.activation_bytes)} alive at most"),
        ("sparsity", _sparsity(inspection.layers)),
        ("quantised", _quantized(inspection)),
    ]
    if sums.unknown_dims:
        rows.append(("note", "dimensions that are not known count as 1"))
    if sums.contradiction is not None:
        rows.append(("note", f"shapes are those in the file: {sums.contradiction}"))
    return rows


def _sizes(found: Inspection) -> str:
    sizes = list(found.files.items())
    texts = [console.size_text(sizes[0][1])]
    texts += [f"{name} {console.size_text(size)}" for name, size in sizes[1:]]
    return ", ".join(texts)


def _port(port: Port) -> str:
    return f"{port.name}: {port.dtype or 'unknown type'}{shape_text(port.shape)}"


def shape_text(shape: tuple[int | str | None, ...] | None) -> str:
    """A shape as ``[N,3,24,94]``; ``?`` for what is not known."""
    if shape is None:
        return "[…]"
    return f"[{','.join('?' if dim is None else str(dim) for dim in shape)}]"


def _counts(operators: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in operators.items())


def _density(nonzero: int, parameters: int) -> str:
    return f"{nonzero / parameters:.1%} of the parameters are not zero" if parameters else "none"


def _uncounted(operators: tuple[str, ...]) -> str:
    return f", without {', '.join(operators)}" if operators else ""


def _sparsity(rows: list[LayerRow]) -> str:
    weighted = [row for row in rows if row.density is not None]
    able = [row for row in weighted if row.not_sparse is None]
    sparse = [row for row in able if "2:4" in row.patterns]
    return f"{len(sparse)} of {len(weighted)} weights are 2:4, {len(able)} can be"


def _quantized(found: Inspection) -> str:
    parts = [f"{each.quantized} of {each.all} {name}" for name, each in found.coverage.items()]
    half = sum(each.weights_only for each in found.coverage.values())
    text = ", ".join(parts) or "no linear operators"
    text += f"; {half} with weights alone" if half else ""
    return f"{text}; {found.quantized}" if found.quantized else text


def _layer(row: LayerRow) -> list[str]:
    return [
        row.node,
        row.op_type,
        shape_text(row.shape),
        row.dtype or "?",
        f"{row.parameters:,}",
        f"{row.macs:,}",
        "" if row.density is None else f"{row.density:.3f}",
        ", ".join(row.patterns),
        row.not_sparse or ("is" if "2:4" in row.patterns else "can be"),
    ]


def _target(verdict: Legality) -> list[str]:
    if verdict.problem is not None:
        return [verdict.target, "can't be asked", verdict.problem]
    if verdict.legal:
        return [verdict.target, "legal", ""]
    first, count = verdict.violations[0], len(verdict.violations)
    return [
        verdict.target,
        f"{count} violation{'s' if count > 1 else ''}",
        f"{first.place}: {first.message}",
    ]
