"""What is embedded: what programs need of an artefact, each file with a symbol."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.artifact.manifest_file import FILE
from lprc.compiler.artifact.task_files import DEPLOYMENT
from lprc.compiler.artifact.verification import artefact_folder, check_files, require_whole
from lprc.core.errors import UsageError
from lprc.core.files.digest import sha256

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class EmbeddedFile:
    """One file.

    Attributes:
        path: Where it is, below the folder as the caller named it.
        symbol: The C identifier of its bytes.
        size: In bytes.
    """

    path: Path
    symbol: str
    size: int


@dataclass(frozen=True)
class Embedding:
    """An artefact to embed.

    Attributes:
        symbol: What every identifier starts with.
        files: The deployed ones, the first of which the runtime loads, and ``deployment.json``
            where there is one.
        manifest_sha256: Of the artefact's manifest, so that a program can tell what is in it.
    """

    symbol: str
    files: tuple[EmbeddedFile, ...]
    manifest_sha256: str


def read_embedding(artefact: Path, symbol: str) -> Embedding:
    """Check an artefact's files by their hashes, and give those that programs need a symbol.

    Raises:
        UsageError: `symbol` is no C identifier, or two files would have the same.
        InvalidModelError: Not an artefact, or not as it was written.
    """
    if _IDENTIFIER.fullmatch(symbol) is None:
        raise UsageError(
            f"'{symbol}' is no C identifier",
            where="--symbol",
            hint="a letter, then letters, digits and _",
            option="--symbol",
        )
    folder = artefact_folder(artefact)
    require_whole(check_files(folder))
    opened = open_artifact(folder)
    paths = [opened.model, *(path for path in opened.files if path != opened.model)]
    described = folder / DEPLOYMENT
    paths += [described] if described.is_file() else []
    files = tuple(
        EmbeddedFile(path, f"{symbol}_{_identifier(path.name)}", path.stat().st_size)
        for path in paths
    )
    _refuse_twins(files)
    return Embedding(symbol, files, sha256(folder / FILE))


def _identifier(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name)


def _refuse_twins(files: tuple[EmbeddedFile, ...]) -> None:
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(file.symbol.upper(), file.path)
        if other != file.path:
            raise UsageError(
                f"'{other.name}' and '{file.path.name}' would both be {file.symbol}",
                where=str(file.path.parent),
                hint="embed them by other means: C identifiers can't tell them apart",
                path=file.path,
            )
