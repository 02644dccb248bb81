"""Which files an output depends on, as Make and Ninja read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lprc.core.errors import OutputError
from lprc.core.files.atomic import atomic_file


def write_depfile(path: Path, output: Path, inputs: Sequence[Path]) -> None:
    """Write a rule ``output: inputs``, and one without a recipe for each input.

    The latter, as of ``gcc -MP``, let Make go on when an input is gone.

    Raises:
        OutputError: It can't be written, or a name can't be written in one.
    """
    text = depfile_text(output, inputs)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def depfile_text(output: Path, inputs: Sequence[Path]) -> str:
    r"""The rules, with ``\ ``, ``\#``, ``\:`` and ``$$`` for what would mean something else.

    Ninja takes names with one of ``* ? & ' "`` for files that are not there: it builds anew.

    Raises:
        OutputError: A name with a sign for which GNU Make has no escape.
    """
    names = [_escaped(path) for path in inputs]
    lines = [" \\\n  ".join([f"{_escaped(output)}:", *names])]
    lines += [f"{name.replace('%', _BACKSLASH + '%')}:" for name in names]
    return "\n".join(lines) + "\n"


_BACKSLASH = "\\"
_SPECIAL = re.compile(r"(\\*)([ #:])")
_IMPOSSIBLE = re.compile(r"[;=|\t\r\n]")


def _escaped(path: Path) -> str:
    text = path.as_posix()
    impossible = _IMPOSSIBLE.search(text)
    if impossible is not None:
        raise OutputError(
            f"its name has a {impossible[0]!r}, and dependency files can't say that",
            where=text if text.isprintable() else repr(text),
            hint="rename it, or leave --depfile out",
            path=path,
        )
    # Backslashes are doubled only where one follows that escapes.
    return _SPECIAL.sub(lambda match: f"{match[1] * 2}\\{match[2]}", text).replace("$", "$$")
