"""Vendor exceptions in lprc's words."""

from __future__ import annotations

from pathlib import Path

from lprc.core.errors import InvalidModelError


def load_error(runtime: str, path: Path, error: Exception) -> InvalidModelError:
    """For a file that `runtime` refuses."""
    return InvalidModelError(f"{runtime} can't load it: {first_line(error)}", where=str(path))


def first_line(error: Exception) -> str:
    """What a vendor's exception says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # OpenVINO begins with where in its sources the check failed.
    telling = [line for line in lines if not line.startswith(("Exception from src", "Check '"))]
    return (telling or lines or [type(error).__name__])[0][:300]
