"""lprc: an ahead-of-time graph compiler for ONNX networks.

What stands in ``__all__`` is the Python API (docs/api.md). It is imported when it is used, so that
``import lprc`` takes milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lprc._lazy import lazy_names
from lprc._version import __version__

if TYPE_CHECKING:
    from lprc.api import OptimizeResult, bench, compile, diff, evaluate, load, optimize, save  # noqa: A004
    from lprc.compiler.artifact.artifact import Artifact
    from lprc.compiler.artifact.artifact import open_artifact as open  # noqa: A004
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
    from lprc.core.passing.pipeline import Pipeline

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

__getattr__ = lazy_names(
    __name__,
    {
        "lprc.api": (
            "OptimizeResult", "bench", "compile", "diff", "evaluate", "load", "optimize", "save",
        ),
        "lprc.compiler.artifact.artifact": ("Artifact", "open=open_artifact"),
        "lprc.core.errors": tuple(name for name in __all__ if name.endswith("Error")),
        "lprc.core.passing.pipeline": ("Pipeline",),
    },
)  # fmt: skip


def __dir__() -> list[str]:
    """What the API has, imported or not."""
    return sorted({*globals(), *__all__})
