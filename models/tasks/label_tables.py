"""``labels.csv``: the label of each file in a folder."""

from __future__ import annotations

import csv
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path

from lprc.core.errors import DataError
from lprc.core.files.regular import open_regular


def read_labels_table(table: Path) -> list[tuple[Path, str]]:
    """The files that `table` names and their labels, sorted by file name.

    The columns are ``file`` and ``label``; the files lie beside the table.

    Raises:
        DataError: It is malformed, names a missing file, one outside the folder or one twice.
    """
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
    rows.sort(key=lambda item: item[0].name)
    for one, other in pairwise(rows):
        if one[0] == other[0]:
            raise DataError(f"'{one[0].name}' is named twice", where=str(table))
    return rows


def _row(row: dict[str | None, str | None], table: Path, line: int) -> tuple[Path, str]:
    where = f"{table}:{line}"
    file, label = row.get("file"), row.get("label")
    if file is None or label is None or None in row:
        raise DataError("must have two cells", where=where)
    if Path(file).name != file:
        raise DataError(f"'{file}' is not in the folder", where=where)
    path = table.parent / file
    if not path.is_file():
        raise DataError(f"no such file '{file}'", where=where)
    return path, label
