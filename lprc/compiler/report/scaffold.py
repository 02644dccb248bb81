"""What every HTML page of lprc stands in: its head, its colours, and what a browser may load.

A page is one file that loads nothing and runs no script but its own. Names come from other people's
models, so templates escape all that they are given, and the content security policy names the one
style sheet and the one script by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

_HERE = "lprc.compiler.report"


def asset(package: str, name: str) -> str:
    """The text of a file in the folder ``assets`` of a package."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def render(package: str, template: str, style: str, script: str = "", **values: Any) -> str:
    """Fill a template that extends ``scaffold.html.j2``.

    Args:
        package: In whose folder ``assets`` the template and the style sheet are.
        template: The file name of the template; its blocks are ``title`` and ``body``.
        style: The file name of the page's own style sheet, behind that of all pages.
        script: The page's own script, or nothing.
        values: What the template shows; texts are escaped.

    Raises:
        jinja2.UndefinedError: The template shows what is not among the values.
    """
    import jinja2
    from markupsafe import Markup

    css = asset(_HERE, "scaffold.css") + asset(package, style)
    templates = {
        "scaffold.html.j2": asset(_HERE, "scaffold.html.j2"),
        template: asset(package, template),
    }
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        style=Markup(css),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        policy=_policy(css, script),
        **values,
    )


def _policy(style: str, script: str) -> str:
    ours = [f"style-src '{_source_hash(style)}'", "img-src data:"]
    if script:
        ours.insert(0, f"script-src '{_source_hash(script)}'")
    return "; ".join(["default-src 'none'", *ours, "base-uri 'none'", "form-action 'none'"])


def _source_hash(text: str) -> str:
    """What a content security policy calls a script or a style sheet."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
