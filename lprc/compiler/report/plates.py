"""Plates that were misread, as pictures with what each side read."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lprc.compiler.measure.accuracy import Evaluation
from lprc.core.errors import DataError
from lprc.core.files.regular import open_regular

MOST = 200
"""Pictures on a page; 94×24 pixels take about 5 kB."""

_ORDER = {"lost": 0, "both wrong": 1, "gained": 2}


@dataclass(frozen=True)
class PlatePicture:
    """One plate that at least one side misread.

    Attributes:
        file: Its name.
        picture: A ``data:`` URI.
        width: Of the picture in pixels.
        height: Of the picture in pixels.
        label: What is on it.
        float32: What the source read; None where it was not measured.
        artefact: What the artefact read.
        verdict: ``lost`` or ``gained`` by compiling, or ``both wrong``.
    """

    file: str
    picture: str
    width: int
    height: int
    label: str
    float32: str | None
    artefact: str
    verdict: str


def wrong_plates(
    source: Evaluation | None, artefact: Evaluation, data: Path
) -> tuple[list[PlatePicture], int]:
    """The plates that either side misread, those lost by compiling first, and how many there are.

    Args:
        source: Of the float32 source; None where it could not be run.
        artefact: Of the artefact, on the same plates.
        data: Their folder.

    Returns:
        At most `MOST` of them, and the number of all.

    Raises:
        DataError: A picture can't be read.
    """
    theirs = {wrong.file: wrong for wrong in (source.wrong if source else ())}
    ours = {wrong.file: wrong for wrong in artefact.wrong}
    misread = []
    for file in sorted(theirs.keys() | ours.keys()):
        label = (ours.get(file) or theirs[file]).label
        read = ours[file].predicted if file in ours else label
        before = theirs[file].predicted if file in theirs else label
        verdict = "gained" if file not in ours else "both wrong" if file in theirs else "lost"
        misread.append((verdict, file, label, before if source else None, read))
    misread.sort(key=lambda item: (_ORDER[item[0]], item[1]))
    return [
        PlatePicture(file, *picture(data / file), label, before, read, verdict)
        for verdict, file, label, before, read in misread[:MOST]
    ], len(misread)


def picture(path: Path, most: int = 376) -> tuple[str, int, int]:
    """An image as a ``data:`` URI of a PNG at most `most` pixels wide, its width and height.

    Raises:
        DataError: It can't be read any more; it was when accuracy was measured.
    """
    try:
        with open_regular(path) as stream, Image.open(stream) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        raise DataError(f"can't be read: {error}", where=str(path)) from error
    if image.width > most:
        height = max(1, round(image.height * most / image.width))
        image = image.resize((most, height), Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    coded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/png;base64,{coded}", image.width, image.height
