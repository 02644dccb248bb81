"""The pipelines of a sweep: text with ``{}`` in the place of the value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lprc.core.errors import UsageError
from lprc.core.passing.pipeline import Pipeline

PLACE = "{}"


@dataclass(frozen=True)
class SweepText:
    """Which pipelines a sweep compares.

    Attributes:
        option: What is swept, for instance ``target-macs``; ``value`` where that can't be told.
        unchanged: The pipeline without the passes that have a value, to compare with.
        pipelines: The pipeline of each value, by the value's text.
    """

    option: str
    unchanged: Pipeline
    pipelines: dict[str, Pipeline]


def piece_sweep(piece: str, around: str, values: Sequence[str]) -> SweepText:
    """A sweep of a piece of a pipeline, put into `around` as far back as the order allows.

    Args:
        piece: For instance ``prune-channels{target-macs={}},reconstruct``.
        around: The whole pipeline without it.
        values: What stands for ``{}``.

    Raises:
        UsageError: A syntax error, no ``{}``, values given twice, or no place for it.
    """
    whole = Pipeline.parse(around)
    pipelines = {
        value: inserted(whole, Pipeline.parse(text))
        for value, text in _texts(piece, values).items()
    }
    return SweepText(_option(piece), whole, pipelines)


def pipeline_sweep(text: str, values: Sequence[str]) -> SweepText:
    """A sweep of a whole pipeline; compared with what is left without the passes that have ``{}``.

    Raises:
        UsageError: A syntax error, no ``{}``, or values given twice.
    """
    pipelines = {value: Pipeline.parse(each) for value, each in _texts(text, values).items()}
    unchanged = ",".join(each for each in _passes(text) if PLACE not in each)
    return SweepText(_option(text), Pipeline.parse(unchanged), pipelines)


def _texts(text: str, values: Sequence[str]) -> dict[str, str]:
    if PLACE not in text:
        raise UsageError(
            "no {} to put the values in",
            where=text,
            hint="write for instance prune-channels{target-macs={}}",
        )
    if not values:
        raise UsageError("no values", where="--values", hint="give some: --values 1,0.8,0.6")
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise UsageError(f"{', '.join(twice)} given twice", where="--values", hint="give it once")
    return {value: text.replace(PLACE, value) for value in values}


def inserted(whole: Pipeline, piece: Pipeline) -> Pipeline:
    """`whole` with `piece` as near to its end as the order of passes allows.

    Raises:
        UsageError: There is no place for it.
    """
    refusal: UsageError | None = None
    for place in range(len(whole.passes), -1, -1):
        try:
            return Pipeline((*whole.passes[:place], *piece.passes, *whole.passes[place:]))
        except UsageError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _passes(text: str) -> list[str]:
    """The texts of the single passes: cut at commas that are outside of braces and quotes."""
    depth, quoted, passes = 0, False, [""]
    for index, sign in enumerate(text):
        if sign == '"' and (index == 0 or text[index - 1] != "\\"):
            quoted = not quoted
        elif not quoted:
            depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0 and not quoted:
            passes.append("")
        else:
            passes[-1] += sign
    return passes


def _option(text: str) -> str:
    match = re.search(r"([A-Za-z][A-Za-z0-9-]*)\s*=\s*\{\}", text)
    return "value" if match is None else match[1]
