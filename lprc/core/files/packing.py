"""How much packed data may become when it is unpacked."""

from __future__ import annotations

MOST_GROWTH = 200
"""How many times larger than packed data its contents may be; weights of a network grow by 2, a
file of zeros by 1000."""

ALWAYS = 256 * 2**20
"""Bytes that contents may have whatever they were packed to."""


def unpacked_limit(packed_bytes: int) -> int:
    """The most bytes that `packed_bytes` may become."""
    return max(ALWAYS, packed_bytes * MOST_GROWTH)


def refuse_bomb(packed_bytes: int, unpacked_bytes: int) -> None:
    """Refuse data that says of itself that it grows too much.

    Raises:
        ValueError: It does.
    """
    if unpacked_bytes > unpacked_limit(packed_bytes):
        raise ValueError(f"{packed_bytes} packed bytes would become {unpacked_bytes}")
