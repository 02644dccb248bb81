"""Results as JSON lines: one cell a line, a later line in place of an earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


class Results:
    """The cells in a file, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cells: dict[tuple[str, str], Cell] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._remember(json.loads(line))

    def has(self, network: str, column: str) -> bool:
        """Whether this cell was run."""
        return (network, column) in self._cells

    def cell(self, network: str, column: str) -> Cell:
        """What came of this cell; empty where it was not run."""
        return self._cells.get((network, column), {})

    def add(self, cell: Cell) -> None:
        """Append a cell to the file."""
        self._remember(cell)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(cell) + "\n")

    def cells(self) -> list[Cell]:
        """The latest of each cell, by network and column."""
        return list(self._cells.values())

    def _remember(self, cell: Cell) -> None:
        self._cells[cell["network"], cell["column"]] = cell
