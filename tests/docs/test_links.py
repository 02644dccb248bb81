"""What the documentation points to is there: links, anchors, files, modules, rooms."""

from __future__ import annotations

import importlib
import re
from functools import cache
from itertools import pairwise

import pytest
from doc_blocks import PAGES, ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

PATH = re.compile(r"(?:lprc|passes|targets|models|tests|benchmarks|examples|docs)/[\w./*-]*")
NOT_OURS = {
    "lprc.origin",  # a key of metadata
    "check.py",  # files that the reader writes
    "my_package/onnx_reference.py",
    "numpy.py",
    "passes/merge_relu.py",
    "tests/passes/cases/merge-relu/two.txt",
}
MODULE = re.compile(r"lprc(?:\.[A-Za-z_]\w*)+(?<!\.json)(?<!\.toml)")


def inline(page: str) -> list[Token]:
    """The tokens of a page's running text, tables included."""
    parsed = MarkdownIt().enable("table").parse((ROOT / page).read_text())
    return [child for token in parsed for child in token.children or ()]


@cache
def anchors(page: str) -> set[str]:
    """What `#…` can follow a page's name, by GitHub's rule."""
    tokens = MarkdownIt().parse((ROOT / page).read_text())
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    hrefs = [str(token.attrs["href"]) for token in inline(page) if token.type == "link_open"]
    for href in hrefs:
        if re.match(r"https?://", href):
            continue
        path, _, anchor = href.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), href
        if anchor:
            name = target.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(name), href


@pytest.mark.parametrize("page", PAGES)
def test_files_and_modules_exist(page):
    code = [token.content for token in inline(page) if token.type == "code_inline"]
    for word in {word for text in code for word in text.split()} - NOT_OURS:
        assert is_there(word), word


def is_there(word: str) -> bool:
    """Whether the file or module that a word of code names exists; True for other words."""
    if PATH.fullmatch(word):
        return bool(list(ROOT.glob(word.rstrip("/"))))
    if re.fullmatch(r"[\w/]+\.py", word):
        return word in python_files() or (ROOT / "lprc" / word).is_file()
    return is_importable(word) if MODULE.fullmatch(word) else True


@cache
def python_files() -> set[str]:
    """The names of all files of Python, without their folders."""
    folders = ("lprc", "passes", "targets", "models", "tests", "benchmarks", "examples")
    return {path.name for folder in folders for path in (ROOT / folder).rglob("*.py")}


def is_importable(name: str) -> bool:
    """Whether it is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return bool(module) and hasattr(importlib.import_module(module), attribute)
    return True


def test_every_page_is_reached_from_the_readme():
    reached, todo = set(), ["README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        for token in inline(page):
            path = str(token.attrs.get("href", "")).partition("#")[0]
            target = ((ROOT / page).parent / path).resolve()
            if path.endswith(".md") and "://" not in path:
                name = target.relative_to(ROOT).as_posix()
                if name in PAGES and name not in reached:
                    todo.append(name)
    assert reached == set(PAGES)


def test_the_architecture_has_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for place, named in [
        ("lprc/core", "core.{}"),
        ("lprc/compiler", "compiler.{}"),
        ("passes", "{}"),
    ]:
        for init in sorted((ROOT / place).glob("*/__init__.py")):
            assert f"`{named.format(init.parent.name)}`" in text, init.parent
