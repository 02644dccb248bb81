"""docs/architecture.md names the functions of a compile in the order in which they are met."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SECTION = "## The walk of `lprc compile`\n"
HOP = re.compile(r"^(\d+)\. `([\w/.]+):([\w.]+)` \w", re.MULTILINE)


def hops() -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text[text.index(SECTION) + len(SECTION) :].split("\n## ")[0]
    found = HOP.findall(section)
    assert [int(number) for number, _, _ in found] == list(range(1, len(found) + 1))
    return [(file, function) for _, file, function in found]


def body(file: str, function: str) -> ast.AST:
    """The function, or the method ``Class.function``, of a file."""
    place: ast.AST = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    for name in function.split("."):
        place = next(
            node
            for node in ast.iter_child_nodes(place)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name
        )
    return place


def called(file: str, function: str) -> set[str]:
    """What a function calls, by itself or in private functions of its file."""
    seen: set[str] = set()
    pending = [function]
    while pending:
        functions = [
            node.func for node in ast.walk(body(file, pending.pop())) if isinstance(node, ast.Call)
        ]
        plain = {node.id for node in functions if isinstance(node, ast.Name)}
        methods = {node.attr for node in functions if isinstance(node, ast.Attribute)}
        pending += [name for name in plain - seen if name.startswith("_") and defines(file, name)]
        seen |= plain | methods
    return seen


def defines(file: str, function: str) -> bool:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)


def test_it_is_at_most_ten_hops():
    assert 5 < len(hops()) <= 10


@pytest.mark.parametrize("index", range(len(hops())))
def test_each_is_called_by_one_above_it(index):
    name = hops()[index][1].rpartition(".")[2]
    assert body(*hops()[index]) is not None
    callers = [called(*hop) for hop in hops()[:index]]
    assert index == 0 or any(name in names for names in callers), name
