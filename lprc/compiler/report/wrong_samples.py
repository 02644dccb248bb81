"""Samples that were answered wrong, as pictures with what each side answered."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from lprc.compiler.measure.evaluation import Evaluation, Wrong

MOST = 200
"""Pictures on a page; 94 x 24 pixels take about 5 kB."""

_BYTES = 4_000_000
"""Of all pictures on a page."""

_ORDER = {"lost": 0, "worse": 1, "both wrong": 2, "better": 3, "gained": 4}

_NOTICEABLE = 1e-3
"""A score that moved by less is the same."""


@dataclass(frozen=True)
class SamplePicture:
    """One sample that at least one side did not answer perfectly.

    Attributes:
        file: Its name.
        picture: A ``data:`` URI.
        width: Of the picture in pixels.
        height: Of the picture in pixels.
        label: What is right.
        float32: What the source answered; None where it was not measured.
        artefact: What the artefact answered.
        float32_right: Whether the source's answer was perfect.
        artefact_right: Whether the artefact's was.
        verdict: ``lost`` or ``gained`` by compiling, ``worse`` or ``better``, or ``both wrong``.
    """

    file: str
    picture: str
    width: int
    height: int
    label: str
    float32: str | None
    artefact: str
    float32_right: bool
    artefact_right: bool
    verdict: str


def wrong_samples(
    source: Evaluation | None, artefact: Evaluation
) -> tuple[list[SamplePicture], int]:
    """Samples that either side answered wrong, those lost by compiling first, and their number.

    Args:
        source: Of the float32 source; None where it could not be run.
        artefact: Of the artefact, on the same samples.

    Returns:
        At most `MOST` of them, and the number of all.

    Raises:
        DataError: A picture can't be read.
    """
    theirs = {str(wrong.path): wrong for wrong in (source.wrong if source else ())}
    ours = {str(wrong.path): wrong for wrong in artefact.wrong}
    rows = []
    for key in sorted(theirs.keys() | ours.keys()):
        verdict = _verdict(theirs.get(key), ours.get(key))
        rows.append((_ORDER[verdict], key, verdict))
    pictures: list[SamplePicture] = []
    room = _BYTES
    for _, key, verdict in sorted(rows)[:MOST]:
        sample = _picture(artefact, theirs.get(key), ours.get(key), verdict, source is not None)
        room -= len(sample.picture)
        if room < 0 and pictures:
            break
        pictures.append(sample)
    return pictures, len(rows)


def _verdict(theirs: Wrong | None, ours: Wrong | None) -> str:
    if ours is None:
        return "gained"
    if theirs is None:
        return "lost"
    if ours.score < theirs.score - _NOTICEABLE:
        return "worse"
    return "better" if ours.score > theirs.score + _NOTICEABLE else "both wrong"


def _picture(
    artefact: Evaluation, theirs: Wrong | None, ours: Wrong | None, verdict: str, measured: bool
) -> SamplePicture:
    one = ours or theirs
    assert one is not None
    uri, width, height = data_uri(artefact.task.picture(one.path, one.answer))
    return SamplePicture(
        one.path.name,
        uri,
        width,
        height,
        one.label,
        (theirs.predicted if theirs else one.label) if measured else None,
        ours.predicted if ours else one.label,
        theirs is None,
        ours is None,
        verdict,
    )


def data_uri(image: Image.Image, most: int = 376) -> tuple[str, int, int]:
    """An image as a ``data:`` URI of a PNG at most `most` pixels wide, its width and height."""
    if image.width > most:
        height = max(1, round(image.height * most / image.width))
        image = image.resize((most, height), Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    coded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/png;base64,{coded}", image.width, image.height
