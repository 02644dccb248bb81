"""A sweep as a picture: what is kept of the quality above, what is saved below."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc.core.errors import MissingDependencyError, UsageError
from lprc.core.files.atomic import atomic_file
from lprc.core.process.installed import is_installed

if TYPE_CHECKING:
    from lprc.compiler.sweeping.sweep import SweepRow, Swept

FORMATS = (".svg", ".png")

TITLE_WIDTH = 76
"""Characters of a line of the title."""

_STYLE: Any = {
    "svg.hashsalt": "lprc",  # ids in the file would be random otherwise
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}

_QUALITY = (
    ("accuracy", "accuracy", "#0b5fa5", "o-"),
    ("agreement", "agreement", "#b3541e", "s-"),
)

_COSTS = (
    ("macs", "MACs", "#0b5fa5", "o-"),
    ("parameters", "parameters", "#2e7d32", "^-"),
    ("size_bytes", "size", "#7b4fa3", "v--"),
    ("latency_ratio", "latency", "#b3541e", "s-"),
)
"""Field, label, colour, and a line that shows where two lie upon each other."""


def check_plot(path: Path) -> None:
    """Refuse before any work what can't be drawn.

    Raises:
        UsageError: A file that is neither .svg nor .png.
        MissingDependencyError: matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"'{path.name}' is neither .svg nor .png", where="--plot", hint="name it curve.svg"
        )
    if not is_installed("matplotlib"):
        raise MissingDependencyError(
            "plots need matplotlib", where="--plot", hint='pip install "lprc[plot]"'
        )


def draw(swept: Swept, title: str, path: Path) -> None:
    """Write the picture; the same rows give the same file.

    Raises:
        OutputError: It can't be written.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in swept.rows if row.error is None]
    places, labels = _places([row.value for row in rows])
    suffix = path.suffix.lower()[1:]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 6.0), layout="constrained")
        FigureCanvasAgg(figure)
        lines = [line for part in title.split("\n") for line in textwrap.wrap(part, TITLE_WIDTH)]
        figure.suptitle("\n".join(lines), fontsize=10, parse_math=False)
        above, below = figure.subplots(2, 1, sharex=True)
        _quality(above, swept, rows, places)
        _costs(below, swept, rows, places)
        below.set_xlabel(swept.option)
        if labels is not None:
            below.set_xticks(places, labels)
        undated = {"Date": None} if suffix == "svg" else {"Software": None}
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format=suffix, dpi=150, metadata=undated)


def _quality(axes: Any, swept: Swept, rows: list[SweepRow], places: list[float]) -> None:
    for name, label, colour, form in _QUALITY:
        _line(axes, [getattr(row, name) for row in rows], places, form, label, colour)
    known = swept.unchanged.accuracy
    if known is not None:
        axes.axhline(known, color=_QUALITY[0][2], linewidth=0.8, linestyle=":")
    _legend(axes)
    axes.set_ylabel("kept")
    axes.margins(y=0.08)


def _costs(axes: Any, swept: Swept, rows: list[SweepRow], places: list[float]) -> None:
    for name, label, colour, form in _COSTS:
        whole = 1.0 if name == "latency_ratio" else getattr(swept.unchanged, name)
        if whole:
            shares = [_share(getattr(row, name), whole) for row in rows]
            _line(axes, shares, places, form, label, colour)
    axes.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    _legend(axes)
    axes.set_ylabel("fraction of the unchanged")
    axes.set_ylim(bottom=0)


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[0]:  # without lines matplotlib would warn
        axes.legend(frameon=False)


def _share(value: float | None, whole: float) -> float | None:
    return None if value is None else value / whole


def _line(
    axes: Any, values: list[float | None], places: list[float], form: str, label: str, colour: str
) -> None:
    known = [(x, y) for x, y in zip(places, values, strict=True) if y is not None]
    if known:
        known.sort()
        axes.plot(*zip(*known, strict=True), form, markersize=4, label=label, color=colour)


def _places(values: list[str]) -> tuple[list[float], list[str] | None]:
    """Where values are: numbers at themselves, words side by side."""
    try:
        return [float(value) for value in values], None
    except ValueError:
        return [float(index) for index in range(len(values))], values
