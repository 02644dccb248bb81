"""What an emitter says of its artefact: which operators run in which precision, and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lprc.cli import console
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.core.targets.emitter import Emitted


def print_precision(emitted: Emitted) -> None:
    """Print the operators of a quantised engine and what stayed in float; warnings always."""
    operators = emitted.report.get("operators", {})
    if any(counts["asked"] or counts["int8"] for counts in operators.values()):
        rows = [
            (name, str(counts["all"]), str(counts["asked"]), str(counts["int8"]))
            for name, counts in operators.items()
        ]
        console.stdout().print(console.table(["operator", "all", "int8 asked", "int8 got"], rows))
        floats = [
            (item["node"], ", ".join(item["sources"]), ", ".join(item["reads"]), item["why"])
            for item in emitted.report["float"]
        ]
        if floats:
            columns = ["not int8", "source", "reads", "why"]
            console.stdout().print(console.table(columns, floats))
        say()
    for warning in emitted.warnings:
        say(f"warning: {warning}", err=True)
