"""JSON on standard output, and whether a command has put its document there."""

from __future__ import annotations

import json
from typing import Any

from lprc.cli.say import say
from lprc.core.printable import json_escaped


class _Printed:
    document = False


def print_document(document: Any) -> None:
    """Print a command's document."""
    _Printed.document = True
    say(json_escaped(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)))


def print_error(document: dict[str, Any]) -> None:
    """Print an error in one line, unless the command's document is there: that tells it, too."""
    if not _Printed.document:
        say(json_escaped(json.dumps(document, ensure_ascii=False, default=str)))


def forget() -> None:
    """Begin anew, as a process that runs several commands does."""
    _Printed.document = False
