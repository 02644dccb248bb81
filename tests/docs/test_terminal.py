"""The README's picture of a terminal shows what `tools/terminal.py` ran, and loads nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from doc_blocks import ROOT
from terminal import SESSION, printed_by, session_svg

SVG = "{http://www.w3.org/2000/svg}"


def text_of(svg: str) -> str:
    """What a reader sees, without space."""
    root = ElementTree.fromstring(svg)
    return re.sub(r"\s", "", "".join(node.text or "" for node in root.iter(f"{SVG}text")))


def test_the_picture_has_the_commands():
    shown = text_of((ROOT / "docs" / "terminal.svg").read_text(encoding="utf-8"))
    for command in SESSION:
        assert re.sub(r"\s", "", f"$ {command}") in shown


def test_a_picture_shows_what_was_printed_and_loads_nothing():
    svg = session_svg({"lprc <x>": "one & two\n", "lprc y": "three\n"})
    assert text_of(svg).replace("lprc$", "$", 1).endswith("$lprc<x>one&two$lprcythree")
    assert not re.findall(r"url\((?!#)|href=|//(?!www\.w3\.org/2000/svg)", svg)
    assert ElementTree.fromstring(svg).get("aria-label") == "A terminal: lprc <x>; lprc y"


def test_a_command_that_fails_ends_the_program(tmp_path):
    with pytest.raises(SystemExit, match=r"lprc targets nonsense: exit code 2: .*error: "):
        printed_by("lprc targets nonsense", tmp_path)
