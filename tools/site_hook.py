"""What MkDocs calls while it builds the site: the reference, and links out of ``docs/``."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook_pages import FOLDER as NOTEBOOKS
from notebook_pages import notebook_pages, page_path
from reference import pages

ROOT = Path(__file__).parents[1]
PROJECT_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Pages of the repository's root that are pages of the site too."""

_LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#]*)(?P<anchor>#[^)]*)?\)")
_LINK_INTO_DOCS = re.compile(r"\]\(docs/")


@cache
def _reference() -> dict[str, str]:
    return pages.pages()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the reference into the navigation."""
    for entry in config.nav or ():
        if isinstance(entry, dict) and "Reference" in entry:
            entry["Reference"] += pages.navigation(sorted(_reference()))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files below ``docs/``."""
    for path, text in (_reference() | notebook_pages(ROOT)).items():
        files.append(File.generated(config, path, content=text))
    for name in PROJECT_PAGES:
        text = _LINK_INTO_DOCS.sub("](../", (ROOT / name).read_text(encoding="utf-8"))
        files.append(File.generated(config, f"project/{name}", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to the repository's own files become their paths: the site does not have them."""
    folder = posixpath.dirname(page.file.src_uri)

    def replaced(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link["path"]))
        if not path.startswith("../"):
            return link[0]
        in_repository = path.removeprefix("../")
        if in_repository in PROJECT_PAGES or in_repository.startswith(f"{NOTEBOOKS}/"):
            ours = in_repository in PROJECT_PAGES
            place = f"project/{in_repository}" if ours else page_path(posixpath.basename(path))
            target = posixpath.relpath(place, folder or ".")
            return f"[{link['text']}]({target}{link['anchor'] or ''})"
        if not (ROOT / in_repository).exists():
            raise FileNotFoundError(f"{page.file.src_uri}: no file {in_repository}")
        named = in_repository in link["text"]
        return f"`{in_repository}`" if named else f"{link['text']} (`{in_repository}`)"

    return _LINK.sub(replaced, markdown)
