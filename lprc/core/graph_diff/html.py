"""A difference as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

from html import escape

from lprc.core.graph_diff.grouping import Group
from lprc.core.graph_diff.node_groups import groups
from lprc.core.graph_diff.result import GraphDifference
from lprc.core.graph_diff.text import headline

_CLASSES = {"-": "gone", "+": "new", "~": "changed", "=": "renamed"}

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem; }
h1, summary, li { overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .1rem .3rem; } ul { margin: .2rem 0 .6rem; }
code { font: 13px/1.4 ui-monospace, monospace; }
.sign { display: inline-block; font-weight: bold; width: 1.2em; text-align: center; }
.gone .sign { color: #c62828; } .new .sign { color: #1b7a2b; }
.changed .sign { color: #a15c00; } .renamed .sign { color: GrayText; }
@media (prefers-color-scheme: dark) {
  .gone .sign { color: #ff8a80; } .new .sign { color: #81d88d; } .changed .sign { color: #ffc26b; }
}
"""


def html_page(difference: GraphDifference, before: str, after: str) -> str:
    """The whole difference; what each group holds unfolds.

    Args:
        difference: What to show.
        before: What to call the model before.
        after: What to call the model after.
    """
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # Should anything ever slip through the escaping, the browser still must not run it.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>lprc diff: {escape(before)} and {escape(after)}</title>",
        f"<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1><code>{escape(before)}</code> → <code>{escape(after)}</code></h1>",
        f"<p>{escape(headline(difference))}</p>",
    ]
    section = ""
    for group in groups(difference):
        if group.section != section:
            section = group.section
            parts.append(f"<h2>{escape(section.capitalize())}</h2>")
        parts.append(_group(group))
    parts.append("</body>\n</html>\n")
    return "\n".join(parts)


def _group(group: Group) -> str:
    items = "\n".join(
        f"<li><code>{escape(item.name)}</code> {escape(item.detail)}</li>" for item in group.items
    )
    return (
        f'<details class="{_CLASSES[group.sign]}"><summary><span class="sign">'
        f"{escape(group.sign)}</span> {len(group.items)} × {escape(group.text)}</summary>\n"
        f"<ul>\n{items}\n</ul></details>"
    )
