"""Latency beside size of all that was accurate enough, as SVG that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 20, 50

_FRONT, _TARGET, _OTHER, _INK = "#c2410c", "#1d4ed8", "#94a3b8", "#334155"


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> list[float]:
        """Numbers with one digit, at most eight of them."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for digits in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1,)):
            numbers = [n * 10.0**power for power in range(first, last + 1) for n in digits]
            inside = [number for number in numbers if self.low <= number <= self.high]
            if len(inside) <= 8:
                break
        return inside


def plot_svg(document: Mapping[str, Any]) -> str:
    """The picture of what a search found; equal results give equal text.

    A point of the front is a link to ``#trial-NUMBER``.

    Args:
        document: As of `lprc.compiler.searching.result.result_document`.
    """
    front, targets = _points(document["front"]), _points(document["targets"])
    others = _points(document["all"])
    points = [*front, *targets, *others]
    if not points:
        return _svg([_text(WIDTH / 2, HEIGHT / 2, "nothing was accurate enough", "middle")])
    x = _axis([point[1] for point in points], LEFT, WIDTH - RIGHT)
    y = _axis([point[2] / 1000 for point in points], HEIGHT - BOTTOM, TOP)
    drawn = [*_axes(x, y)]
    numbers = {point[0] for point in (*front, *targets)}
    drawn += [
        f'<circle cx="{x.at(a)}" cy="{y.at(b / 1000)}" r="3" fill="{_OTHER}">'
        f"{_title(name)}</circle>"
        for number, a, b, name in others
        if number not in numbers
    ]
    drawn += [
        f'<rect x="{x.at(a) - 5}" y="{y.at(b / 1000) - 5}" width="10" height="10" fill="none" '
        f'stroke="{_TARGET}" stroke-width="2">{_title(name)}</rect>'
        for _, a, b, name in targets
    ]
    corners = " ".join(f"{x.at(a)},{y.at(b / 1000)}" for _, a, b, _ in sorted(front, key=_latency))
    drawn.append(f'<polyline points="{corners}" fill="none" stroke="{_FRONT}" />')
    drawn += [
        f'<a href="#trial-{number}"><circle cx="{x.at(a)}" cy="{y.at(b / 1000)}" r="6" '
        f'fill="{_FRONT}">{_title(name)}</circle></a>'
        for number, a, b, name in front
    ]
    return _svg([*drawn, *_legend()])


def _latency(point: tuple[int, float, float, str]) -> float:
    return point[1]


def _points(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, float, float, str]]:
    """Number, latency, bytes and name of rows that have all of it."""
    points = []
    for row in rows:
        latency = row["latency"]["ratio"] if isinstance(row["latency"], Mapping) else row["latency"]
        if latency and row["size_bytes"]:
            points.append((row["trial"], latency, float(row["size_bytes"]), row["label"]))
    return points


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    return _Axis(min(values) / 1.15, max(values) * 1.15, start, end)


def _axes(x: _Axis, y: _Axis) -> list[str]:
    bottom = HEIGHT - BOTTOM
    drawn = [
        f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="{_INK}" />',
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "latency over the source's", "middle"),
        f'<text x="16" y="{(TOP + bottom) / 2}" text-anchor="middle" fill="{_INK}" '
        f'transform="rotate(-90 16 {(TOP + bottom) / 2})">size in kB</text>',
    ]
    drawn += [_text(x.at(tick), bottom + 18, f"{tick:g}", "middle") for tick in x.ticks()]
    drawn += [_text(LEFT - 8, y.at(tick) + 4, f"{tick:g}", "end") for tick in y.ticks()]
    return drawn


def _legend() -> list[str]:
    at = WIDTH - RIGHT - 150
    return [
        f'<circle cx="{at}" cy="{TOP + 8}" r="6" fill="{_FRONT}" />',
        _text(at + 14, TOP + 12, "the front", "start"),
        f'<rect x="{at - 5}" y="{TOP + 23}" width="10" height="10" fill="none" '
        f'stroke="{_TARGET}" stroke-width="2" />',
        _text(at + 14, TOP + 32, "targets as they are", "start"),
        f'<circle cx="{at}" cy="{TOP + 48}" r="3" fill="{_OTHER}" />',
        _text(at + 14, TOP + 52, "in their turn", "start"),
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{_INK}">{escape(text)}</text>'


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _svg(drawn: Sequence[str]) -> str:
    about = quoteattr("Latency beside size of what was accurate enough")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label={about}>'
    )
    return "\n".join([head, *drawn, "</svg>"]) + "\n"
