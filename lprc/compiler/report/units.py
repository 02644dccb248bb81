"""Numbers as people read them."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Bytes in powers of ten: ``1.71 MB``."""
    if abs(size) < 1000:
        return f"{size:.0f} B"
    return f"{_scaled(size)}B"


def count_text(count: float) -> str:
    """``144.4 M``; numbers below 10,000 as they are."""
    return f"{count:,.0f}" if abs(count) < 10_000 else _scaled(count).rstrip()


def seconds_text(seconds: float) -> str:
    """``2.4 ms`` or ``1.64 s``."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _scaled(number: float) -> str:
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= factor:
            return f"{number / factor:.4g} {unit}"
    return f"{number:.4g} "
