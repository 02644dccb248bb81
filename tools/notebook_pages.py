"""The notebooks as pages of the site: their text and their cells."""

from __future__ import annotations

import json
import re
from pathlib import Path

FOLDER = "notebooks"
_LINK = re.compile(r"\]\((?P<path>[^):#]+)(?P<anchor>#[^)]*)?\)")


def notebook_pages(root: Path) -> dict[str, str]:
    """Markdown by the path of its page, of each notebook in the repository at `root`."""
    return {page_path(path.name): _page(path) for path in sorted((root / FOLDER).glob("*.ipynb"))}


def page_path(name: str) -> str:
    """Where the page of the notebook of this file name is in the site."""
    return f"{FOLDER}/{Path(name).stem}.md"


def _page(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [_text(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    about = f"A notebook, `{FOLDER}/{path.name}`: run it to see what it prints."
    title, *others = parts
    return "\n\n".join([title, about, *others]) + "\n"


def _text(kind: str, source: str) -> str:
    if kind == "code":
        return f"```python\n{source}\n```"
    return _LINK.sub(_in_the_site, source)


def _in_the_site(link: re.Match[str]) -> str:
    path = link["path"]
    path = f"../{path.removeprefix('../docs/')}" if path.startswith("../docs/") else path
    return f"]({re.sub(r'[.]ipynb$', '.md', path)}{link['anchor'] or ''})"
