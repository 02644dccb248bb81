"""A registry on the terminal: all of it as a table, or one entry, or either as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lprc.cli import console

Document = Mapping[str, Any]


def show_listing(
    documents: Sequence[Document],
    *,
    one: bool,
    as_json: bool,
    print_one: Callable[[Document], None],
    columns: Mapping[str, Callable[[Document], str]],
) -> None:
    """Print entries of a registry.

    Args:
        documents: They, as JSON data.
        one: Whether the user named one, which is the only document then.
        as_json: Whether to print JSON.
        print_one: Prints one for people.
        columns: The table's headings, each with what a row has under it.
    """
    if as_json:
        console.print_json(documents[0] if one else list(documents))
    elif one:
        print_one(documents[0])
    else:
        rows = [tuple(cell(item) for cell in columns.values()) for item in documents]
        console.stdout().print(console.table(list(columns), rows))
