"""How long something may take, as text: ``90s``, ``10min``, ``1h30min``."""

from __future__ import annotations

import re

from lprc.core.errors import UsageError

DURATION = (
    r"^(?=.*\d)(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)min)?(?:(?P<s>\d+(?:\.\d+)?)s?)?$"
)
"""What such a text matches."""


def seconds_of(text: str) -> float:
    """A duration: ``90s``, ``10min``, ``1h30min``, or a number of seconds.

    Raises:
        UsageError: It is none.
    """
    match = re.fullmatch(DURATION, text.strip())
    if match is None:
        raise UsageError(
            f"'{text}' is no duration",
            where="--budget",
            hint="for instance 90s, 10min or 1h30min",
            option="--budget",
        )
    return 3600 * float(match["h"] or 0) + 60 * float(match["m"] or 0) + float(match["s"] or 0)
