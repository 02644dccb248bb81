"""Folders of plate images, with labels or without."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path

from lprc.core.errors import DataError
from lprc.core.files.regular import open_regular
from lprc.models.plate_config import PlateConfig

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
LABELS_FILE = "labels.csv"


@dataclass(frozen=True)
class LabelledImage:
    """An image file and the text on its plate."""

    path: Path
    label: str


def list_images(folder: Path) -> list[Path]:
    """The image files of `folder`, sorted by name.

    Raises:
        DataError: No such folder, one that can't be read, or no image in it.
    """
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder))
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}", where=str(folder)) from error
    # A link to nothing stays: reading it is an error, and leaving it out would be silent.
    images = [path for path in entries if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if not images:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError("no images in it", where=str(folder), hint=f"known kinds: {suffixes}")
    return images


def read_labelled(folder: Path, config: PlateConfig) -> list[LabelledImage]:
    """The images of `folder` with their labels, sorted by file name.

    The labels are those of ``labels.csv`` (columns ``file`` and ``label``) if the folder has one;
    else an image's label is its file name up to the first ``-`` or ``_``, so that two images of
    one plate can be ``A1-1.jpg`` and ``A1-2.jpg``.

    Raises:
        DataError: A label with a character outside the alphabet, an empty one, or a table that
            is malformed, names a missing file, one outside the folder or one file twice.
    """
    table = folder / LABELS_FILE
    if table.is_file():
        images = _from_table(table)
    else:
        images = [LabelledImage(path, _label_in_name(path)) for path in list_images(folder)]
    alphabet = frozenset(config.alphabet)
    for item in images:
        _check_label(item, alphabet, config.name)
    return images


def _label_in_name(path: Path) -> str:
    return path.stem.split("-")[0].split("_")[0]


def _check_label(item: LabelledImage, known: frozenset[str], name: str) -> None:
    if not item.label:
        raise DataError("its label is empty", where=str(item.path))
    foreign = [character for character in item.label if character not in known]
    if foreign:
        raise DataError(
            f"its label '{item.label}' has '{foreign[0]}', which is not in the alphabet '{name}'",
            where=str(item.path),
            hint="--plates names another alphabet",
        )


def _from_table(table: Path) -> list[LabelledImage]:
    try:
        with TextIOWrapper(open_regular(table), "utf-8-sig", newline="") as stream:  # BOM of sheets
            reader = csv.DictReader(stream, strict=True)
            if reader.fieldnames is None or sorted(reader.fieldnames) != ["file", "label"]:
                raise DataError("its columns must be 'file' and 'label'", where=str(table))
            rows = [_row(row, table, reader.line_num) for row in reader]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(f"can't be read: {error}", where=str(table)) from error
    if not rows:
        raise DataError("no labels in it", where=str(table))
    rows.sort(key=lambda item: item.path.name)
    for one, other in pairwise(rows):
        if one.path == other.path:
            raise DataError(f"'{one.path.name}' is named twice", where=str(table))
    return rows


def _row(row: dict[str | None, str | None], table: Path, line: int) -> LabelledImage:
    where = f"{table}:{line}"
    file, label = row.get("file"), row.get("label")
    if file is None or label is None or None in row:
        raise DataError("must have two cells", where=where)
    if Path(file).name != file:
        raise DataError(f"'{file}' is not in the folder", where=where)
    path = table.parent / file
    if not path.is_file():
        raise DataError(f"no such file '{file}'", where=where)
    return LabelledImage(path, label)
