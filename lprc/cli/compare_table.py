"""A model and what it became, side by side: size, accuracy, latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.cli import console
from lprc.cli.progress import reporter
from lprc.cli.say import say
from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.measure.bench import BenchRow, bench
from lprc.compiler.measure.evaluation import Evaluation, evaluate
from lprc.core.errors import InvalidModelError
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays
from lprc.core.tasks.task_file import task_choice


@dataclass(frozen=True)
class Measured:
    """One row; `evaluation` and `latency` only where they were asked for."""

    name: str
    size_bytes: int
    evaluation: Evaluation | None
    latency: BenchRow | None


def measured(
    artefacts: Sequence[Path],
    *,
    data: Path | None,
    latency: bool,
    task: str | None,
    threads: int | None,
    quiet: bool,
    evaluated: Evaluation | None = None,
    inputs: Arrays | None = None,
    sizes: InputSizes | None = None,
) -> list[Measured]:
    """Measure each artefact in the runtime of the last, so that ratios compare like with like.

    One that this runtime can't load (torch's legacy LPRNet export is invalid until ``legalize``)
    has no row, and a note says why.
    """
    opened = [open_artifact(path) for path in artefacts]
    backend = opened[-1].backend
    names = [
        str(artefact.path) if artefact.manifest is not None else f"{artefact.path}@{backend}"
        for artefact in opened
    ]
    if data is not None or latency:
        runnable = [name for name in names if _runs(name)]
        opened = [
            artefact for artefact, name in zip(opened, names, strict=True) if name in runnable
        ]
        names = runnable
    choice = task_choice(task)
    evaluations: list[Evaluation | None] = [None] * len(names)
    if data is not None:
        for index, name in enumerate(names):
            # One was measured already, for the manifest.
            if evaluated is not None and name == evaluated.artefact:
                evaluations[index] = evaluated
                continue
            with reporter(f"evaluating {Path(name).name}", quiet=quiet) as progress:
                evaluations[index] = evaluate(
                    name, data, task=choice, threads=threads, progress=progress
                )
    latencies: list[BenchRow | None] = [None] * len(names)
    if latency:
        with reporter("measuring", quiet=quiet) as progress:
            latencies = list(
                bench(names, inputs=inputs, sizes=sizes, threads=threads, progress=progress)
            )
    return [
        Measured(str(artefact.path), artefact.size_bytes, evaluation, row)
        for artefact, evaluation, row in zip(opened, evaluations, latencies, strict=True)
    ]


def _runs(name: str) -> bool:
    try:
        open_artifact(name).runner()
    except InvalidModelError as error:
        console.note(f"note: not measured: {error}")
        return False
    return True


def compare_document(rows: Sequence[Measured]) -> list[dict[str, Any]]:
    """The rows as JSON data."""
    return [
        {
            "artefact": row.name,
            "bytes": row.size_bytes,
            "accuracy": row.evaluation.accuracy if row.evaluation else None,
            "score": row.evaluation.score.document() if row.evaluation else None,
            "difference": _difference(row, rows[0]),
            "median_ms": row.latency.median_ms if row.latency else None,
            "ratio": row.latency.ratio_to_first if row.latency else None,
        }
        for row in rows
    ]


def _difference(row: Measured, first: Measured) -> dict[str, Any] | None:
    """How far a row's score is from the first one's, as JSON data."""
    if row is first or row.evaluation is None or first.evaluation is None:
        return None
    return row.evaluation.score.less(first.evaluation.score).document()


def print_comparison(rows: Sequence[Measured]) -> None:
    """Print the rows, with the columns that were measured."""
    columns = ["", ">size"]
    cells = [[row.name, console.size_text(row.size_bytes)] for row in rows]
    if rows[0].evaluation is not None:
        columns.append(f">{rows[0].evaluation.task.metric}")
        for row, line in zip(rows, cells, strict=True):
            line.append(f"{row.evaluation.accuracy:.4f}" if row.evaluation else "")
    if rows[0].latency is not None:
        columns += [">median ms", ">ratio", "runtime"]
        for row, line in zip(rows, cells, strict=True):
            assert row.latency is not None
            latency = row.latency
            line += [
                f"{latency.median_ms:.3f}",
                f"{latency.ratio_to_first:.2f}",
                latency.backend,
            ]
    console.stdout().print(console.table(columns, cells))
    _print_differences(rows)


def _print_differences(rows: Sequence[Measured]) -> None:
    """Print how far scores moved from the first row's, and whether that is more than chance."""
    first = rows[0].evaluation
    if first is None:
        return
    say(f"{rows[0].name}: {first}")
    for row in rows[1:]:
        if row.evaluation is not None:
            difference = row.evaluation.score.less(first.score)
            say(f"{row.name}: {row.evaluation}; {difference}")
