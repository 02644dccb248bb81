"""Markdown that is put together from texts of the code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """A text in code font, nothing for an empty one."""
    return f"`{text}`" if text else ""


def plain(text: str) -> str:
    """A text of the code, in which nothing but its own backticks is Markdown."""
    parts = text.split("`")
    for position in range(0, len(parts), 2):
        for character in "\\*_<>[]":
            parts[position] = parts[position].replace(character, f"\\{character}")
    return "`".join(parts)


def fenced(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def folded(title: str, block: str) -> str:
    """A block that opens when its title is clicked."""
    indented = "".join(f"    {line}".rstrip() + "\n" for line in block.splitlines())
    return f'??? note "{title}"\n\n{indented}\n'
