"""The C++ compiler that vendors' code generators call."""

from __future__ import annotations

import os
import shutil


def cxx_compiler() -> str | None:
    """What ``CXX`` names, else the first of g++, clang++ and c++ that there is; None for none."""
    named = os.environ.get("CXX")
    names = [named] if named else ["g++", "clang++", "c++"]
    return next((name for name in names if shutil.which(name)), None)
