"""``--time-passes`` and ``--stats``: what each pass cost, and what it made of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lprc.cli import console

if TYPE_CHECKING:
    from lprc.compiler.compile.settings import VerifyMode
    from lprc.compiler.measure.pass_costs import CostSettings, PassCost

F = TypeVar("F", bound=Callable[..., Any])


def costs_options(function: F) -> F:
    """The two options; `cost_settings` makes of them what the compiler takes."""
    for option in (
        click.option(
            "--stats",
            is_flag=True,
            help="Show what each pass makes of the graph: nodes, parameters, MACs, bytes, output "
            "error; with --data its accuracy, with --bench its latency, in ONNX Runtime.",
        ),
        click.option(
            "--time-passes",
            is_flag=True,
            help="Show the time of each pass, and the most memory that the process held.",
        ),
    ):
        function = option(function)
    return function


def cost_settings(
    *,
    time_passes: bool,
    stats: bool,
    data: Path | None,
    latency: bool,
    task: str | None,
    threads: int | None,
) -> CostSettings:
    """What to find out of each pass; accuracy and latency only with ``--stats``."""
    from lprc.compiler.measure.pass_costs import CostSettings
    from lprc.compiler.measure.pass_measures import Measure
    from lprc.core.tasks.task_file import task_choice

    measure = None
    if stats and (data is not None or latency):
        choice = task_choice(task)
        measure = Measure(data=data, task=choice, latency=latency, threads=threads)
    return CostSettings(timing=time_passes or stats, statistics=stats, measure=measure)


def stats_verify(mode: VerifyMode, *, stats: bool) -> VerifyMode:
    """``--stats`` compares outputs after every change, unless nothing is to be compared."""
    return "each" if stats and mode == "final" else mode


def print_times(rows: Sequence[PassCost]) -> None:
    """Print what each pass took, the slowest first."""
    passes = [row for row in rows if row.seconds is not None]
    total = sum(row.seconds or 0.0 for row in passes)
    lines = [
        [
            console.shorten(row.text, _WIDEST),
            f"{(row.seconds or 0.0) * 1e3:.1f}",
            f"{(row.seconds or 0.0) / total:.0%}" if total else "",
            _memory(row.peak_bytes),
            "from the cache" if row.remembered else "",
        ]
        for row in sorted(passes, key=lambda row: -(row.seconds or 0.0))
    ]
    columns = ["pass", ">ms", ">of all", ">process's peak memory", ""]
    out = console.stdout()
    out.print(console.table(columns, lines))
    out.print(f"all passes: {total * 1e3:.1f} ms, without checks and measurements")


def _memory(size: int | None) -> str:
    return "not known here" if size is None else console.size_text(size)


def print_stats(rows: Sequence[PassCost]) -> None:
    """Print what each pass that changed the graph made of it, the source first."""
    shown = [row for row in rows if row.changed or row.position < 0]
    columns: list[str] = ["after"]
    cells: list[list[str]] = [[console.shorten(row.text, _WIDEST)] for row in shown]
    for title, cell in _COLUMNS:
        texts = [cell(row) for row in shown]
        if any(texts):
            columns.append(title)
            for line, text in zip(cells, texts, strict=True):
                line.append(text)
    console.stdout().print(console.table(columns, cells))


_WIDEST = 60


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


_COLUMNS: tuple[tuple[str, Callable[[PassCost], str]], ...] = (
    (">nodes", lambda row: "" if row.statistics is None else str(row.statistics.nodes)),
    (">parameters", lambda row: "" if row.statistics is None else f"{row.statistics.parameters:,}"),
    (">MACs", lambda row: "" if row.statistics is None else f"{row.statistics.macs:,}"),
    (
        ">weights",
        lambda row: (
            "" if row.statistics is None else console.size_text(row.statistics.weight_bytes)
        ),
    ),
    (
        ">activations",
        lambda row: (
            "" if row.statistics is None else console.size_text(row.statistics.activation_bytes)
        ),
    ),
    (">ms", lambda row: _number(row.seconds and row.seconds * 1e3, ".1f")),
    (
        ">peak memory",
        lambda row: "" if row.peak_bytes is None else console.size_text(row.peak_bytes),
    ),
    (">error", lambda row: _number(row.error, ".1e")),
    (">error to source", lambda row: _number(row.error_to_source, ".1e")),
    (">accuracy", lambda row: _number(row.accuracy, ".4f")),
    (">latency ms", lambda row: _number(row.median_ms, ".3f")),
)
