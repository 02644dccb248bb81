"""``lprc explain``: where a node comes from, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.compiler.explain.explanation import Explanation, NodeFacts
    from lprc.core.quantization.around import Quantization


@click.command("explain")
@click.argument("artefact", metavar="ARTEFACT|MODEL", type=PathArgument)
@click.argument("node")
@json_option
@debug_option
def command(artefact: Path, node: str, as_json: bool) -> None:
    """Show where NODE comes from, which passes touched it, its precision, and how to exclude it.

    NODE is a node of the lowered graph or of the source, a value, an initialiser, or a layer of the
    engine.
    """
    from lprc.compiler.explain.explanation import explain

    found = explain(artefact, node)
    if as_json:
        console.print_json(found.document())
        return
    say(f"{found.name}: {_WHAT[found.match]}")
    for facts in found.nodes:
        _print_node(facts)
    _print_layers(found)
    _print_events(found)
    _print_exclusions(found)


_WHAT = {
    "node": "a node of the lowered graph",
    "value": "a value of the lowered graph",
    "source node": "a node of the source",
    "engine layer": "a layer of the engine",
    "vanished node": "a node that is not in the lowered graph any more",
}


def _print_node(facts: NodeFacts) -> None:
    rows = [
        ("node", f"{facts.name} ({facts.operator})"),
        ("comes from", ", ".join(facts.origins) or "unknown"),
        ("reads", ", ".join(facts.reads)),
        ("writes", ", ".join(facts.writes)),
        ("precision", _precision(facts)),
        *((each.role, _quantization(each)) for each in facts.quantization),
    ]
    say()
    console.stdout().print(console.facts(rows))


def _precision(facts: NodeFacts) -> str:
    why = facts.why_float
    return facts.precision if why is None else f"{facts.precision} (not quantised: {why})"


def _quantization(found: Quantization) -> str:
    if not found.node:
        assert found.range is not None
        return f"{found.value}: {found.range[0]:.6g} to {found.range[1]:.6g} by calibration"
    parts = [f"{found.value}: {(found.dtype or 'unknown type').lower()}"]
    if found.scale is not None:
        low, high = found.scale
        parts.append(f"scale {low:.6g}" if low == high else f"scales {low:.6g} to {high:.6g}")
        if found.axis is not None:
            parts.append(f"{found.scales} along axis {found.axis}")
    if found.zero_point is not None:
        low_zero, high_zero = found.zero_point
        same = low_zero == high_zero
        parts.append(f"zero-point {low_zero}" if same else f"zero-points {low_zero} to {high_zero}")
    if found.range is not None:
        parts.append(f"covers {found.range[0]:.6g} to {found.range[1]:.6g}")
    return ", ".join([*parts, f"by {found.node}"])


def _print_layers(found: Explanation) -> None:
    if not found.layers:
        return
    rows = [
        (each.name, each.kind, ", ".join(each.reads), ", ".join(each.writes), ", ".join(each.nodes))
        for each in found.layers
    ]
    say()
    columns = ["engine layer", "kind", "reads", "writes", "lowered nodes"]
    console.stdout().print(console.table(columns, rows))
    if found.engine:
        reasons = [(str(entry.get("node")), str(entry.get("why"))) for entry in found.engine]
        say()
        console.stdout().print(console.table(["node", "why the engine has it in float"], reasons))


def _print_events(found: Explanation) -> None:
    say()
    if found.events is None:
        say("what passes did is told by the folder that `lprc compile` writes; this is none")
        return
    if not found.events:
        say("no pass touched it")
        return
    rows = [
        (
            each.pass_name,
            each.node,
            each.note if each.rewrote else f"left alone: {each.note}",
        )
        for each in found.events
    ]
    console.stdout().print(console.table(["pass", "node", "what became of it"], rows))


def _print_exclusions(found: Explanation) -> None:
    if found.problem is not None:
        console.note(f"note: {found.problem}")
    if not found.exclusions:
        return
    say("\nto exclude it, write in the pipeline (--passes, or `passes` in lprc.toml):")
    for each in found.exclusions:
        already = " (it is excluded already)" if each.excluded else ""
        say(f"  {each.text}{already}")
