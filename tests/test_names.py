"""Names say what a value holds: no `found`, `each`, `known` or `made` in long or public code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

VAGUE = frozenset({"found", "each", "known", "made"})
"""They tell that there is a value, and not what it is."""

SHORT = 10
"""The most lines of a private function that may have them: it is seen at a glance."""

FOLDERS = ("lprc", "passes", "targets", "models", "benchmarks")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def vague_names(source: str) -> Iterator[tuple[int, str]]:
    """The line and the name of each binding that breaks the rule."""
    yield from _in_body(ast.parse(source).body, is_public=True)


def _in_body(body: list[ast.stmt], *, is_public: bool) -> Iterator[tuple[int, str]]:
    """Look at the definitions in a module or class; `is_public` says whether others see it."""
    for statement in body:
        if isinstance(statement, Function):
            yield from _in_function(statement, is_public=is_public)
        elif isinstance(statement, ast.ClassDef):
            seen = is_public and not statement.name.startswith("_")
            yield from _in_body(statement.body, is_public=seen)
        elif is_public:
            # Fields of a class are its signature too.
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else []
            targets += statement.targets if isinstance(statement, ast.Assign) else []
            names = (name for target in targets for name in ast.walk(target))
            yield from _vague(names)


def _in_function(function: Function, *, is_public: bool) -> Iterator[tuple[int, str]]:
    is_special = function.name.startswith("__")
    if is_public and (is_special or not function.name.startswith("_")):
        if function.name in VAGUE:
            yield function.lineno, function.name
        yield from _vague(ast.walk(function.args))
    end = function.end_lineno
    assert end is not None
    if end - function.lineno + 1 > SHORT:
        yield from _vague(ast.walk(function))


def _vague(nodes: Iterator[ast.AST]) -> Iterator[tuple[int, str]]:
    """The bindings among `nodes` that have a vague name."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                pass
            case ast.ExceptHandler(name=str(name)) | ast.alias(asname=str(name)):
                pass
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                pass
            case _:
                continue
        if name in VAGUE:
            yield node.lineno, name


def files(folder: str) -> list[Path]:
    """The Python files under `folder`; `lprc` is without the links to the folders beside it."""
    linked = [path for path in (ROOT / folder).iterdir() if path.is_symlink()]
    return sorted(
        path
        for path in (ROOT / folder).rglob("*.py")
        if not any(path.is_relative_to(link) for link in linked)
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_long_functions_and_public_signatures_have_names_that_say_what_they_hold(
    folder: str,
) -> None:
    paths = files(folder)
    assert paths
    problems = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in paths
        for line, name in vague_names(path.read_text(encoding="utf-8"))
    }
    assert not sorted(problems)


FILLER = "\n".join("    print()" for _ in range(SHORT))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def rank(found): pass", ["found"]),
        ("def rank(*, known=None): pass", ["known"]),
        ("class Rank:\n    def __call__(self, made): pass", ["made"]),
        ("class Rank:\n    known: bool", ["known"]),
        ("def known(): pass", ["known"]),
        ("def _rank(found): pass", []),
        ("class _Rank:\n    known: bool\n    def add(self, found): pass", []),
        ("def rank(x):\n    found = x\n    return found", []),
        (f"def _rank(found):\n{FILLER}", ["found"]),
        (f"def _rank(x):\n    made = x\n{FILLER}", ["made"]),
        (f"def _rank(x):\n    y = [each for each in x]\n{FILLER}", ["each"]),
        (f"def _rank(x):\n    y = lambda made: x\n{FILLER}", ["made"]),
        (f"def _rank(x):\n    if found := x: pass\n{FILLER}", ["found"]),
        (f"def _rank(x):\n    for known in x: pass\n{FILLER}", ["known"]),
        (
            f"class _Rank:\n    def add(self, found):\n{FILLER.replace('    ', '        ')}",
            ["found"],
        ),
        (f"def _rank(x):\n    x.found = x.known\n    unknown = 'each'\n{FILLER}", []),
    ],
)
def test_the_rule_tells_them_apart(source: str, names: list[str]) -> None:
    assert sorted({name for _, name in vague_names(source)}) == names
