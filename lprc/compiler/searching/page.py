"""One HTML page of what a search found; it loads nothing and runs no script."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.report.scaffold import render
from lprc.compiler.report.units import size_text
from lprc.compiler.searching.plot import plot_svg
from lprc.core.files.atomic import atomic_file
from lprc.core.passing.pipeline import Pipeline, pass_text


def write_pages(document: Mapping[str, Any], folder: Path) -> None:
    """Write ``front.html`` and ``front.svg``.

    Args:
        document: As of `lprc.compiler.searching.result.result_document`.
        folder: Where.

    Raises:
        OutputError: They can't be written.
    """
    for name, text in (("front.svg", plot_svg(document)), ("front.html", page(document))):
        with atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")


def page(document: Mapping[str, Any]) -> str:
    """The page. What comes from models and files is escaped; equal results give equal text."""
    from markupsafe import Markup

    source = document["source"]
    rows, neighbour = [], None
    for row in document["front"]:
        rows.append(_row(row, neighbour))
        neighbour = row
    return render(
        "lprc.compiler.searching",
        "front.html.j2",
        "front.css",
        plot=Markup(plot_svg(document)),  # noqa: S704 - escaped there
        model=Path(document["model"]).name,
        trials=document["trials"],
        stages=", ".join(f"{count} {stage}" for stage, count in document["stages"].items()),
        saved=f"{100 * document['pass_time_saved']:.0f} %",
        source=f"{source['value']:.4f}",
        drop=f"{document['max_accuracy_drop']:g}",
        metric=source["metric"],
        rows=rows,
    )


def ratio_text(latency: Mapping[str, Any] | None) -> str:
    """A ratio with its interval, for instance ``0.212 (0.208 to 0.219)``."""
    if latency is None:
        return ""
    return str(PairedRatio.from_document(latency))


def _row(row: Mapping[str, Any], neighbour: Mapping[str, Any] | None) -> dict[str, Any]:
    facts = [
        ("target", row["target"]),
        ("latency", ratio_text(row["latency"])),
        ("size", size_text(row["size_bytes"])),
        ("accuracy", _with_ends(row["accuracy"], row["accuracy_interval"])),
        ("drop", _with_ends(row["drop"], row["drop_interval"])),
        ("MACs", f"{row['macs']:,}"),
        ("parameters", f"{row['parameters']:,}"),
        ("SNR dB", "∞" if row["snr_db"] is None else f"{row['snr_db']:.1f}"),
    ]
    return {
        "number": row["trial"],
        "label": row["label"],
        "latency": ratio_text(row["latency"]),
        "size": size_text(row["size_bytes"]),
        "accuracy": f"{row['accuracy']:.4f}",
        "facts": facts,
        "command": row["command"],
        "pipeline": ",\n".join(_lines(row["pipeline"])),
        "neighbour": None if neighbour is None else neighbour["trial"],
        "difference": [] if neighbour is None else _difference(neighbour, row),
    }


def _with_ends(number: float, ends: list[float]) -> str:
    return f"{number:.4f} ({ends[0]:.4f} to {ends[1]:.4f})"


def _lines(pipeline: str) -> list[str]:
    return [pass_text(item) for item in Pipeline.parse(pipeline).passes]


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The lines that differ between two candidates, each with its kind."""
    left = [f"target {before['target']}", *_lines(before["pipeline"])]
    right = [f"target {after['target']}", *_lines(after["pipeline"])]
    kinds = {"+": "added", "-": "removed"}
    return [
        (kinds[line[0]], line)
        for line in difflib.ndiff(left, right)
        if line.startswith(("+ ", "- "))
    ]
