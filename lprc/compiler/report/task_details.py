"""What a task says besides its score, of the source and of the artefact side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lprc.compiler.measure.evaluation import Evaluation

MOST = 100
"""Rows on a page."""


@dataclass(frozen=True)
class DetailRow:
    """One figure.

    Attributes:
        name: What it is, for instance ``iou, road``.
        float32: The source's; None where it was not measured, empty where it has none.
        artefact: The artefact's.
    """

    name: str
    float32: str | None
    artefact: str


def detail_rows(source: Evaluation | None, artefact: Evaluation) -> list[DetailRow]:
    """The figures of both, at most `MOST`; the score with its interval comes first.

    Args:
        source: Of the float32 source; None where it could not be run.
        artefact: Of the artefact, on the same samples.
    """
    theirs = dict(_figures(source)) if source is not None else None
    ours = dict(_figures(artefact))
    names = [*ours, *(name for name in theirs or {} if name not in ours)]
    return [
        DetailRow(name, None if theirs is None else theirs.get(name, ""), ours.get(name, ""))
        for name in names[:MOST]
    ]


def _figures(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    score = evaluation.score
    yield evaluation.task.metric, f"{score.value:.4f} ({score.interval})"
    for name, value in evaluation.task.details(score.records).items():
        if isinstance(value, dict):
            yield from ((f"{name}, {key}", _text(part)) for key, part in value.items())
        elif isinstance(value, list):
            yield from _confusions(value)
        else:
            yield name, _text(value)


def _confusions(pairs: list[Any]) -> Iterator[tuple[str, str]]:
    """How often one class was taken for another."""
    for pair in pairs:
        if isinstance(pair, dict) and {"label", "answer", "count"} <= pair.keys():
            yield f"{pair['label']} taken for {pair['answer']}", str(pair["count"])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
