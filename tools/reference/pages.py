"""All pages of the reference, and where they stand in the site's navigation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# The graphs of the pages of passes are those of the tests.
sys.path.append(str(Path(__file__).parents[2] / "tests" / "passes"))

from reference import api, commands, files, passes, targets


def pages() -> dict[str, str]:
    """Markdown by path, relative to ``docs/``."""
    return {
        **commands.pages(),
        **passes.pages(),
        **targets.pages(),
        **files.pages(),
        **api.pages(),
    }


def navigation(paths: list[str]) -> list[Any]:
    """The entries of the section Reference, in the form of mkdocs.yml."""
    return [
        *({title: _below(f"reference/{title.lower()}/", paths)} for title in GROUPS),
        {"Python API": "reference/api.md"},
        {"Files and their schemas": "reference/files.md"},
    ]


GROUPS = ("Commands", "Passes", "Targets")


def _below(folder: str, paths: list[str]) -> list[Any]:
    names = [
        path.removeprefix(folder).removesuffix(".md") for path in paths if path.startswith(folder)
    ]
    names.remove("index")
    return [f"{folder}index.md", *({name: f"{folder}{name}.md"} for name in names)]
