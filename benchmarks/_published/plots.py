"""Accuracy against latency and against size, published points beside ours, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from _published.labels import annotate
from _published.page import points, published_points

mpl.use("svg")
# So that the same figures give the same bytes.
mpl.rcParams["svg.hashsalt"] = "lprc"

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter  # noqa: E402

PLOTS = {
    "results-latency.svg": (
        "to_eager",
        "time of one image, as a share of PyTorch eager's on the same machine (less is better)",
    ),
    "results-size.svg": ("size", "size of what is deployed, MB (less is better)"),
}


def draw(cells: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write both plots; their paths."""
    return [_draw(cells, key, label, folder / name) for name, (key, label) in PLOTS.items()]


def _draw(cells: Mapping[str, Mapping[str, Any]], key: str, label: str, file: Path) -> Path:
    figure, axes = plt.subplots(figsize=(8.6, 5.2), layout="constrained")
    named = []
    for rows, color, marker, legend in (
        (published_points(key), "#7a7a7a", "o", "published (number of the report)"),
        (points(cells, key), "#0b6e99", "s", "lprc, same network, this machine"),
    ):
        places = [x for _, x, _ in rows], [y for _, _, y in rows]
        axes.scatter(*places, s=26, c=color, marker=marker, label=legend, zorder=3)
        named += [(name, x, y, color) for name, x, y in rows]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.set_ylabel("plates read right, %")
    axes.set_ylim(66, 96)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False, loc="lower left")
    annotate(axes, named)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)
    return file
