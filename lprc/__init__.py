"""lprc: an ahead-of-time graph compiler for ONNX networks.

What stands in ``__all__`` is the Python API (docs/api.md). It is imported when it is used, so that
``import lprc`` takes milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lprc.api import OptimizeResult, bench, compile, diff, evaluate, load, optimize, save  # noqa: A004
    from lprc.compiler.artifact import Artifact
    from lprc.compiler.artifact import open_artifact as open  # noqa: A004
    from lprc.core.errors import (
        AccuracyError,
        DataError,
        IllegalForTargetError,
        InvalidModelError,
        LprcError,
        MissingDependencyError,
        OutputError,
        PromiseBrokenError,
        UsageError,
    )
    from lprc.core.pipeline import Pipeline

__version__ = "0.1.0"

__all__ = [
    "AccuracyError",
    "Artifact",
    "DataError",
    "IllegalForTargetError",
    "InvalidModelError",
    "LprcError",
    "MissingDependencyError",
    "OptimizeResult",
    "OutputError",
    "Pipeline",
    "PromiseBrokenError",
    "UsageError",
    "__version__",
    "bench",
    "compile",
    "diff",
    "evaluate",
    "load",
    "open",
    "optimize",
    "save",
]

_PLACES = {
    "lprc.api": (
        "OptimizeResult", "bench", "compile", "diff", "evaluate", "load", "optimize", "save",
    ),
    "lprc.compiler.artifact": ("Artifact", "open_artifact"),
    "lprc.core.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "lprc.core.pipeline": ("Pipeline",),
}  # fmt: skip
_MODULES = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for, as of PEP 562."""
    attribute = "open_artifact" if name == "open" else name
    if name not in __all__ or attribute not in _MODULES:
        raise AttributeError(f"module 'lprc' has no attribute '{name}'")
    from importlib import import_module

    found = getattr(import_module(_MODULES[attribute]), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """What the API has, imported or not."""
    return sorted({*globals(), *__all__})
