"""Folders of labelled plate images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lprc.core.errors import DataError
from lprc.core.files.image_listing import LABELS_FILE, list_images
from lprc.models.ctc import Alphabet
from lprc.models.tasks.label_tables import read_labels_table


@dataclass(frozen=True)
class LabelledImage:
    """An image file and the text on its plate."""

    path: Path
    label: str


def read_labelled(folder: Path, alphabet: Alphabet) -> list[LabelledImage]:
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
        images = [LabelledImage(path, label) for path, label in read_labels_table(table)]
    else:
        images = [LabelledImage(path, _label_in_name(path)) for path in list_images(folder)]
    characters = frozenset(alphabet.alphabet)
    for item in images:
        _check_label(item, characters, alphabet.name)
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
            hint="--task names another alphabet; is this a folder of labelled plates?",
        )
