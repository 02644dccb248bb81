"""Accuracy, latency and size beside the float32 baseline, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lprc.compiler.report.findings import Measurement
from lprc.compiler.report.units import size_text

WIDTH = 320.0
"""Of the longest bar, in units of its drawing."""


@dataclass(frozen=True)
class Bar:
    """One bar; `ratio` is to the baseline, empty for the baseline itself."""

    name: str
    text: str
    ratio: str
    length: float
    baseline: bool


@dataclass(frozen=True)
class Chart:
    """One quantity of all measurements."""

    title: str
    better: str
    bars: tuple[Bar, ...]

    @property
    def description(self) -> str:
        """The chart in words, for those who don't see it."""
        parts = (
            f"{bar.name}: {bar.text}{f', {bar.ratio}' if bar.ratio else ''}" for bar in self.bars
        )
        return f"{self.title} ({self.better}). {'; '.join(parts)}"


def charts(measurements: Sequence[Measurement]) -> list[Chart]:
    """The charts of what was measured; the first measurement is the baseline."""
    names = [_short(measurement.name) for measurement in measurements]
    all_charts = []
    evaluations = [item.evaluation for item in measurements if item.evaluation]
    if measurements and len(evaluations) == len(measurements):
        accuracies = [evaluation.accuracy for evaluation in evaluations]
        metric = evaluations[0].task.metric
        texts = [f"{value:.4f}" for value in accuracies]
        moved = [f"{value - accuracies[0]:+.4f}" for value in accuracies]
        all_charts.append(
            _chart(
                metric[:1].upper() + metric[1:],
                "more is better",
                names,
                accuracies,
                texts,
                moved,
                1.0,
            )
        )
    latencies = [measurement.latency for measurement in measurements if measurement.latency]
    if measurements and len(latencies) == len(measurements):
        medians = [row.median_ms for row in latencies]
        texts = [f"{row.median_ms:.3f} ms (p95 {row.p95_ms:.3f})" for row in latencies]
        ratios = [f"{row.ratio_to_first:.2f}×" for row in latencies]
        all_charts.append(_chart("Median latency", "less is better", names, medians, texts, ratios))
    if measurements:
        sizes = [float(measurement.size_bytes) for measurement in measurements]
        ratios = [f"{size / sizes[0]:.2f}×" if sizes[0] else "" for size in sizes]
        all_charts.append(
            _chart("Size", "less is better", names, sizes, list(map(size_text, sizes)), ratios)
        )
    return all_charts


def _chart(
    title: str,
    better: str,
    names: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    ratios: Sequence[str],
    full: float | None = None,
) -> Chart:
    most = full or max(values) or 1.0
    bars = tuple(
        Bar(name, text, ratio if index else "", round(value / most * WIDTH, 2), index == 0)
        for index, (name, value, text, ratio) in enumerate(
            zip(names, values, texts, ratios, strict=True)
        )
    )
    return Chart(title, better, bars)


def _short(name: str) -> str:
    """The last part of a path: where the user keeps it is nobody's business."""
    return name.rstrip("/").rpartition("/")[2]
