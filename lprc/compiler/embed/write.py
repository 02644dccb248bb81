"""Write an artefact as sources."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from lprc.compiler.embed import sources
from lprc.compiler.embed.files import Embedding, read_embedding
from lprc.core.errors import UsageError
from lprc.core.files.atomic import atomic_file

Form = Literal["array", "object", "resource"]
"""Bytes as C arrays, as an object by ``.incbin``, or as a Windows resource."""

FORMS: tuple[Form, ...] = get_args(Form)

_SUFFIXES = (".c", ".cc", ".cpp", ".cxx")


def embed(artefact: Path, out: Path, *, form: Form = "array", symbol: str = "") -> list[Path]:
    """Write the deployed files of `artefact` as sources; the same in, the same bytes out.

    Args:
        artefact: A folder of ``compile``, or its manifest. The assembler file and the resource
            script name its files as they are named here, relative or absolute.
        out: The C source. The header, and the file with the bytes, lie beside it.
        form: How the bytes are embedded.
        symbol: What identifiers start with; empty for `out`'s stem.

    Returns:
        The source, the header and, unless `form` is ``array``, the ``.S`` or ``.rc`` file.

    Raises:
        UsageError: `out` is no C source, or `symbol` is no C identifier.
        InvalidModelError: Not an artefact, or not as it was written.
        OutputError: A file can't be written.
    """
    if out.suffix not in _SUFFIXES:
        raise UsageError(
            f"'{out.name}' is no C or C++ source",
            where="-o",
            hint=f"name one that ends with {', '.join(_SUFFIXES)}",
            option="-o",
        )
    given = read_embedding(artefact, symbol or out.stem)
    written = []
    for path, text in _texts(given, out, form):
        with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
            stream.writelines(text)
        written.append(path)
    return written


def _texts(given: Embedding, out: Path, form: Form) -> list[tuple[Path, Iterable[str]]]:
    beside = out.with_suffix(".h")
    header = sources.header(given, symbols=form != "resource")
    if form == "array":
        return [(out, sources.array_source(given, beside.name)), (beside, [header])]
    if form == "object":
        bytes_of, source = sources.assembler(given), sources.object_source(given, beside.name)
        return [(out, [source]), (beside, [header]), (out.with_suffix(".S"), [bytes_of])]
    script, source = sources.resource_script(given), sources.resource_source(given, beside.name)
    return [(out, [source]), (beside, [header]), (out.with_suffix(".rc"), [script])]
