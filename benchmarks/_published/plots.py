"""Accuracy against latency and against size, published points beside ours, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from _published.page import points, published_points

mpl.use("svg")
# So that the same figures give the same bytes.
mpl.rcParams["svg.hashsalt"] = "lprc"

from matplotlib import pyplot as plt  # noqa: E402

PLOTS = {
    "results-latency.svg": ("to_eager", "latency over PyTorch eager's, same machine"),
    "results-size.svg": ("size", "size of what is deployed, MB"),
}


def draw(cells: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write both plots; their paths."""
    written = []
    for name, (key, label) in PLOTS.items():
        figure, axes = plt.subplots(figsize=(7.2, 4.5), layout="constrained")
        for rows, color, marker, legend in (
            (published_points(key), "#8a8a8a", "o", "published"),
            (points(cells, key), "#0b6e99", "s", "lprc"),
        ):
            axes.scatter(
                [x for _, x, _ in rows], [y for _, _, y in rows],
                s=26, c=color, marker=marker, label=legend, zorder=3,
            )  # fmt: skip
            for text, x, y in rows:
                axes.annotate(
                    text, (x, y), fontsize=6, color=color, xytext=(3, 3),
                    textcoords="offset points",
                )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("plates read right, %")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.legend(frameon=False)
        figure.savefig(folder / name, metadata={"Date": None})
        plt.close(figure)
        written.append(folder / name)
    return written
