"""Tables as a notebook shows them: what ``_repr_html_`` of results gives.

Names and texts come from other people's files, so all of them are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_ROWS = 50


def html_table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], note: str = ""
) -> str:
    """A table of texts.

    Args:
        caption: What the table is of.
        columns: Titles; those of numbers begin with ``>`` and stand at the right. None at all
            makes each row's first text its title.
        rows: As many texts each as there are columns. Of more than 50 the first are shown, and
            how many were left out.
        note: A line behind the table.
    """
    listed = list(rows)
    sides = ["right" if title.startswith(">") else "left" for title in columns]
    head = "".join(
        _cell("th", title.removeprefix(">"), side, ' scope="col"')
        for title, side in zip(columns, sides, strict=True)
    )
    body = "".join(f"<tr>{_row(row, sides)}</tr>" for row in listed[:_ROWS])
    left_out = f"{len(listed) - _ROWS} more" if len(listed) > _ROWS else ""
    notes = "".join(f"<p>{escape(text)}</p>" for text in (left_out, note) if text)
    heading = f"<thead><tr>{head}</tr></thead>" if head else ""
    title = f"<caption style='text-align:left'>{escape(caption)}</caption>"
    return f"<table>{title}{heading}<tbody>{body}</tbody></table>{notes}"


def _row(row: Sequence[str], sides: Sequence[str]) -> str:
    if sides:
        return "".join(_cell("td", text, side) for text, side in zip(row, sides, strict=True))
    first, *others = row
    return _cell("th", first, "left", ' scope="row"') + "".join(
        _cell("td", text, "left") for text in others
    )


def _cell(element: str, text: str, side: str, attributes: str = "") -> str:
    return f"<{element}{attributes} style='text-align:{side}'>{escape(text)}</{element}>"
