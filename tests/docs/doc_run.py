"""Run the blocks of a page and compare what they print with what the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from doc_blocks import Block
from processes import run


@dataclass(frozen=True)
class Example:
    """One thing to run.

    Attributes:
        command: Its words.
        text: What the page has for it.
        shown: What it prints, as far as the page shows it; None where it shows nothing.
        exit_code: What it ends with; None is any but 0, where an error is shown.
    """

    command: tuple[str, ...]
    text: str
    shown: str | None = None
    exit_code: int | None = 0


def run_page(blocks: list[Block], folder: Path, environment: dict[str, str]) -> list[str]:
    """Run a page's blocks in order, in `folder`.

    Returns:
        What went otherwise than the page says, one text for each example; empty if all is well.
    """
    faults = []
    printed = ""
    written: dict[str, list[str]] = {}
    for block in blocks:
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            before = "".join(f"{text}\n\n" for text in written.get(block.file, ()))
            (folder / block.file).write_text(before + block.text)
            written.setdefault(block.file, []).append(block.text)
        elif block.prints and not agree(printed, block.text, numbers_vary=block.numbers_vary):
            faults.append(f"{block.place}: printed:\n{printed}")
        if block.file or block.skipped:
            continue
        for example in examples_in(block):
            done = _run(example, folder, environment)
            printed = _PROGRESS.sub("", done.stdout)
            fault = _fault(example, done.returncode, printed, block)
            if fault:
                faults.append(f"{block.place}: {example.text}\n{fault}:\n{printed}")
    return faults


def examples_in(block: Block) -> Iterator[Example]:
    """The commands of a block, or its one program; nothing for a block that is only shown."""
    if block.language == "python":
        yield Example((sys.executable, "-c", block.text), "the program")
    elif block.language in ("sh", "console"):
        yield from _shell_examples(block)


def _shell_examples(block: Block) -> Iterator[Example]:
    prompt = "$ " if block.language == "console" else ""
    commands = list(_commands(block.text.splitlines(), prompt, block.place))
    for position, (text, shown) in enumerate(commands, 1):
        last = position == len(commands)
        code: int | None = block.exit_code if last else 0
        if any(line.startswith("error: ") for line in shown) and "; echo $?" not in text:
            code = None
        for option in block.instead:
            if option.split()[0] in text.split():
                text += f" {option}"  # the last value counts
        yield Example(("bash", "-c", text), text, "\n".join(shown) if prompt else None, code)


def _commands(lines: list[str], prompt: str, place: str) -> Iterator[tuple[str, list[str]]]:
    """Each command with its continued lines, and the lines up to the next."""
    rest = iter(lines)
    text = ""
    shown: list[str] = []
    for line in rest:
        if not line.startswith(prompt) or not line.strip():
            shown.append(line)
            continue
        if text:
            yield text, shown
        text, shown = line.removeprefix(prompt), []
        while text.endswith("\\"):
            text += "\n" + next(rest)
    if not text:
        raise ValueError(f"{place}: no command")
    yield text, shown


def _run(
    example: Example, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return run(
        example.command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        cwd=folder,
        environment=environment,
    )


def _fault(example: Example, exit_code: int, printed: str, block: Block) -> str:
    failed = exit_code != 0
    if not failed if example.exit_code is None else exit_code != example.exit_code:
        return f"ended with exit code {exit_code}"
    if example.shown is None or agree(printed, example.shown, block.numbers_vary):
        return ""
    return "printed"


_PROGRESS = re.compile(r"^\S.*: \d+ of \d+\n", re.MULTILINE)
"""What a command says every ten seconds, of a machine that is busy: no page shows it."""

_NUMBER = re.compile(r"(?:(?<=[\s(])[+-])?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")


def agree(printed: str, shown: str, numbers_vary: bool = False) -> bool:
    """Whether `printed` is what is shown, with anything for `…`.

    Space at the ends of lines does not count; where numbers vary, neither does how much there is
    between words, because columns are as wide as their numbers.
    """
    pattern = ""
    for line in _lines(shown, numbers_vary):
        pieces = [re.escape(piece) for piece in line.split("…")]
        pattern += r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(pieces) + r"\n"
    return (
        re.fullmatch(pattern, "".join(f"{x}\n" for x in _lines(printed, numbers_vary))) is not None
    )


def _lines(text: str, numbers_vary: bool) -> list[str]:
    lines = "\n".join(map(str.rstrip, text.splitlines())).strip("\n").splitlines()
    if numbers_vary:
        lines = [re.sub(r" {2,}", " ", _NUMBER.sub("0", line)).strip() for line in lines]
    return lines
