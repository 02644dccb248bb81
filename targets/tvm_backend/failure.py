"""Failures that a user can do something about, said by a process that runs TVM."""

from __future__ import annotations

from typing import Any


class Failure(Exception):
    """A failure that the user can do something about.

    Args:
        message: In one line.
        option: Which option it is about, if one.
        hint: What to do next.
    """

    def __init__(self, message: str, *, option: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.option, self.hint = message, option, hint

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {"message": self.message, "option": self.option, "hint": self.hint}
