"""A registry on the terminal: all of it as a table, or one entry, or either as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lprc.cli import console
from lprc.core.errors import LprcError

Document = Mapping[str, Any]


def show_listing(
    name: str | None,
    names: Callable[[], list[str]],
    describe: Callable[[str], Document],
    *,
    as_json: bool,
    print_one: Callable[[Document], None],
    columns: Mapping[str, Callable[[Document], str]],
) -> None:
    """Print entries of a registry.

    One that can't be loaded, for instance a third party's whose package is broken, is an error
    where the user names it; the whole list leaves it out with a warning.

    Args:
        name: The entry that the user named; None for all.
        names: The names of all.
        describe: An entry as JSON data, by its name.
        as_json: Whether to print JSON.
        print_one: Prints one for people.
        columns: The table's headings, each with what a row has under it.
    """
    if name is not None:
        document = describe(name)
        console.print_json(document) if as_json else print_one(document)
        return
    documents = _loadable(names(), describe)
    if as_json:
        console.print_json(documents)
    else:
        rows = [tuple(cell(item) for cell in columns.values()) for item in documents]
        console.stdout().print(console.table(list(columns), rows))


def _loadable(names: list[str], describe: Callable[[str], Document]) -> list[Document]:
    documents = []
    for name in names:
        try:
            documents.append(describe(name))
        except LprcError as error:
            console.note(f"warning: '{name}' is left out: {error}")
    return documents
