"""The version, where those can read it whom `lprc` itself imports."""

from __future__ import annotations

__version__ = "0.1.0"
