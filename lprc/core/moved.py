"""Modules that plug-ins were told to import until 0.1, and where what they held is now.

They still work, with a `DeprecationWarning` that names `lprc.plugin`.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

MOVED = {
    "lprc.core.adapters": "lprc.core.passing.adapters",
    "lprc.core.contract": "lprc.core.passing.contract",
    "lprc.core.editing": "lprc.core.graph.editing",
    "lprc.core.emission": "lprc.core.targets.emitter",
    "lprc.core.pass_base": "lprc.core.passing.pass_base",
    "lprc.core.target": "lprc.core.targets.target",
}


class MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a moved module under its old name: the same module object, not a copy."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for the names in `MOVED`; None for all others."""
        if fullname not in MOVED:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        """The module under its new name."""
        warnings.warn(
            f"{spec.name} is {MOVED[spec.name]} now; plug-ins import from lprc.plugin",
            DeprecationWarning,
            stacklevel=2,
        )
        module = importlib.import_module(MOVED[spec.name])
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run already; give it back the spec that the import system took from it."""
        module.__spec__ = self._spec
