"""Read ``manifest.json``. It comes from anywhere, so nothing in it is taken on trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lprc.core.errors import InvalidModelError
from lprc.core.files.json_text import parse_json
from lprc.core.files.regular import read_regular

SCHEMA = 3
"""The version of the format; it grows with every change that a reader can notice."""

FILE = "manifest.json"

MAX_BYTES = 64 * 2**20
"""Bytes beyond which a file is no manifest; ours have some kilobytes."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read an artefact's manifest and check it by its schema.

    Raises:
        InvalidModelError: There is none, it is of another schema, or it breaks its own.
    """
    path = folder / FILE
    document = _read(path)
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA or not isinstance(document, dict):
        older = isinstance(schema, int) and not isinstance(schema, bool) and schema < SCHEMA
        raise InvalidModelError(
            f"not a manifest of schema {SCHEMA}" + (f" but of {schema}" if older else ""),
            where=str(path),
            hint="compile it again with this version of lprc" if older else None,
            path=path,
        )
    # Whether a folder is an artefact is asked where pydantic would take half of the time.
    from lprc.compiler.artifact.manifest_schema import Manifest
    from lprc.core.files.checked import checked

    checked(Manifest, document, where=str(path), error=InvalidModelError, path=path)
    for name in document["deployed"]:
        if name not in document["files"]:
            raise InvalidModelError(
                f"'{name}' is deployed and not listed", where=f"{path}: deployed", path=path
            )
    return document


def is_artefact(folder: Path) -> bool:
    """Whether `folder` is one that lprc wrote and holds nothing else, which would be lost too.

    An earlier version's is one as well.
    """
    try:
        document = _read(folder / FILE)
    except InvalidModelError:
        return False
    if not isinstance(document, dict) or "lprc" not in document:
        return False
    files = document.get("files")
    expected = {FILE, *files} if isinstance(files, dict) else set()
    return expected.issuperset(path.name for path in folder.iterdir())


def _read(path: Path) -> Any:
    try:
        return parse_json(read_regular(path, limit=MAX_BYTES))
    except FileNotFoundError as error:
        raise InvalidModelError(
            f"not an artefact: no {FILE} in it",
            where=str(path.parent),
            hint="name a folder that `lprc compile` wrote, or a model file",
            path=path.parent,
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidModelError(f"can't be read: {error}", where=str(path), path=path) from error
