"""What entries of the cache say of themselves; one that says something else is none.

Those that a known compile is served from are checked by hand: pydantic takes longer to import than
such a compile takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lprc.compiler.cache.store import Entry

INPUTS = "inputs/"
"""Before the names of arrays in an emitter's entry; files of artefacts lie flat in their folder."""


def is_digest(entry: Entry) -> bool:
    """Whether it is the digest of lprc's sources."""
    return isinstance(entry.header.get("digest"), str)


def is_list_of_files(entry: Entry) -> bool:
    """Whether it is the list of a model's files of external weights."""
    files = entry.header.get("files")
    return isinstance(files, list) and all(isinstance(name, str) for name in files)


def is_artefact(entry: Entry) -> bool:
    """Whether it is a whole artefact, and what the user is told of it."""
    return (
        isinstance(entry.header.get("said"), dict)
        and _parts_fit(entry)
        and all(_is_plain(name) for name, _ in entry.header["parts"])
    )


def is_pass(entry: Entry) -> bool:
    """Whether it is what a pass did."""
    from lprc.compiler.cache.header_models import PassHeader
    from lprc.core.files.checked import fits

    return fits(PassHeader, entry.header)


def is_model(entry: Entry) -> bool:
    """Whether it is a model between two passes."""
    from lprc.compiler.cache.header_models import ModelHeader
    from lprc.core.files.checked import fits

    names = {name for name, _ in entry.header["parts"]} if _parts_fit(entry) else set()
    return "model" in names and fits(ModelHeader, entry.header)


def is_emitted(entry: Entry) -> bool:
    """Whether it is what an emitter wrote."""
    from lprc.compiler.cache.header_models import EmittedHeader
    from lprc.core.files.checked import fits

    return (
        _parts_fit(entry)
        and all(_is_plain(name.removeprefix(INPUTS)) for name, _ in entry.header["parts"])
        and fits(EmittedHeader, entry.header)
    )


def _is_plain(name: str) -> bool:
    """Whether it names a file in a folder, and nothing outside of it."""
    return name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name)


def _parts_fit(entry: Entry) -> bool:
    """Whether the table of parts is one, of just this payload."""
    table = entry.header.get("parts")
    return (
        isinstance(table, list)
        and all(_is_part(item) for item in table)
        and sum(length for _, length in table) == len(entry.payload)
    )


def _is_part(item: object) -> bool:
    if not isinstance(item, list) or len(item) != 2:
        return False
    name, length = item
    return isinstance(name, str) and type(length) is int and length >= 0


CHECKS: dict[str, Callable[[Entry], bool]] = {
    "artefact": is_artefact,
    "emitted": is_emitted,
    "model": is_model,
    "pass": is_pass,
    "sources": is_digest,
    "weights": is_list_of_files,
}
"""By the kind of entry."""
