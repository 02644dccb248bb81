"""The code blocks of the documentation, and what the pages say of them.

Every block is fenced and names its language. `sh` holds commands, `console` commands behind `$ `
with what they print, `python` a whole program; these are run. An HTML comment in front of a block
says more, in words separated by `; `:

    <!-- example: skip (why it can't be run) -->
    <!-- example: exits with 1 -->         the last command does; by default all succeed
    <!-- example: with --steps 2 -->       commands with this option are run with this value
    <!-- example: numbers vary -->         numbers in what is printed may be others
    <!-- example: prints -->               the block is what the block before it prints
    <!-- example: file lprc.toml -->       the block is this file, or goes on with it

In what is shown, `…` stands for anything in a line, and a line of its own for any lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
)
RUN = ("sh", "console", "python")
SHOWN = ("text", "c", "cmake", "ini", "make", "toml", "yaml")

_COMMENT = re.compile(r"<!-- example: (?P<words>.+) -->\n?")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: The page, relative to the root of the repository.
        line: Its first line there, from 1.
        language: `sh`, `console`, `python`, or what is only shown.
        text: The lines between the fences.
        skipped: Why it is not run, or nothing.
        exit_code: What its last command ends with.
        instead: Options with the values that its commands are run with, to take less time.
        numbers_vary: Whether numbers may differ from those that are shown.
        prints: Whether it is what the block before it prints.
        file: The file that it is, relative to the page's folder, or nothing.
    """

    page: str
    line: int
    language: str
    text: str
    skipped: str = ""
    exit_code: int = 0
    instead: tuple[str, ...] = ()
    numbers_vary: bool = False
    prints: bool = False
    file: str = ""

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    """Read the blocks of a page, in order.

    Raises:
        ValueError: A block is not fenced, its language is missing or unknown, or a comment is not
            understood.
    """
    blocks = []
    comment = ""
    for token in MarkdownIt().parse((ROOT / page).read_text()):
        if token.type == "html_block":
            comment = token.content
        elif token.type in ("fence", "code_block"):
            line = token.map[0] + 1 if token.map else 0
            where = f"{page}:{line}"
            if token.type == "code_block" or token.info not in RUN + SHOWN:
                languages = ", ".join(RUN + SHOWN)
                raise ValueError(f"{where}: a block needs fences and a language: {languages}")
            said = _read(comment, where)
            blocks.append(Block(page, line, token.info, token.content, **said))
            comment = ""
        elif token.type.endswith("_open"):
            comment = ""
    return blocks


def _read(comment: str, where: str) -> dict[str, Any]:
    if not comment:
        return {}
    match = _COMMENT.fullmatch(comment)
    if match is None:
        raise ValueError(f"{where}: a comment in front of a block is <!-- example: … -->")
    said: dict[str, Any] = {}
    for word in match["words"].split("; "):
        if reason := re.fullmatch(r"skip \((.+)\)", word):
            said["skipped"] = reason[1]
        elif code := re.fullmatch(r"exits with (\d+)", word):
            said["exit_code"] = int(code[1])
        elif option := re.fullmatch(r"with (--\S+ \S+)", word):
            said["instead"] = (*said.get("instead", ()), option[1])
        elif file := re.fullmatch(r"file (\S+)", word):
            said["file"] = file[1]
        elif word in ("numbers vary", "prints"):
            said[word.replace(" ", "_")] = True
        else:
            raise ValueError(f"{where}: '{word}' is no word for a block")
    return said
