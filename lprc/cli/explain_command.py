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

    explanation = explain(artefact, node)
    if as_json:
        console.print_json(explanation.document())
        return
    say(f"{explanation.name}: {_WHAT[explanation.match]}")
    for facts in explanation.nodes:
        _print_node(facts)
    _print_layers(explanation)
    _print_events(explanation)
    _print_exclusions(explanation)


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
        *((quantization.role, _quantization(quantization)) for quantization in facts.quantization),
    ]
    say()
    console.stdout().print(console.facts(rows))


def _precision(facts: NodeFacts) -> str:
    why = facts.why_float
    return facts.precision if why is None else f"{facts.precision} (not quantised: {why})"


def _quantization(facts: Quantization) -> str:
    if not facts.node:
        assert facts.range is not None
        return f"{facts.value}: {facts.range[0]:.6g} to {facts.range[1]:.6g} by calibration"
    parts = [f"{facts.value}: {(facts.dtype or 'unknown type').lower()}"]
    if facts.scale is not None:
        low, high = facts.scale
        parts.append(f"scale {low:.6g}" if low == high else f"scales {low:.6g} to {high:.6g}")
        if facts.axis is not None:
            parts.append(f"{facts.scales} along axis {facts.axis}")
    if facts.zero_point is not None:
        low_zero, high_zero = facts.zero_point
        same = low_zero == high_zero
        parts.append(f"zero-point {low_zero}" if same else f"zero-points {low_zero} to {high_zero}")
    if facts.range is not None:
        parts.append(f"covers {facts.range[0]:.6g} to {facts.range[1]:.6g}")
    return ", ".join([*parts, f"by {facts.node}"])


def _print_layers(explanation: Explanation) -> None:
    if not explanation.layers:
        return
    rows = [
        (
            layer.name,
            layer.kind,
            ", ".join(layer.reads),
            ", ".join(layer.writes),
            ", ".join(layer.nodes),
        )
        for layer in explanation.layers
    ]
    say()
    columns = ["engine layer", "kind", "reads", "writes", "lowered nodes"]
    console.stdout().print(console.table(columns, rows))
    if explanation.engine:
        reasons = [(str(entry.get("node")), str(entry.get("why"))) for entry in explanation.engine]
        say()
        console.stdout().print(console.table(["node", "why the engine has it in float"], reasons))


def _print_events(explanation: Explanation) -> None:
    say()
    if explanation.events is None:
        say("what passes did is told by the folder that `lprc compile` writes; this is none")
        return
    if not explanation.events:
        say("no pass touched it")
        return
    rows = [
        (
            event.pass_name,
            event.node,
            event.note if event.rewrote else f"left alone: {event.note}",
        )
        for event in explanation.events
    ]
    console.stdout().print(console.table(["pass", "node", "what became of it"], rows))


def _print_exclusions(explanation: Explanation) -> None:
    if explanation.problem is not None:
        console.note(f"note: {explanation.problem}")
    if not explanation.exclusions:
        return
    say("\nto exclude it, write in the pipeline (--passes, or `passes` in lprc.toml):")
    for exclusion in explanation.exclusions:
        already = " (it is excluded already)" if exclusion.excluded else ""
        say(f"  {exclusion.text}{already}")
