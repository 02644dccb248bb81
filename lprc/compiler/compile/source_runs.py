"""Sources that ONNX Runtime does not run: told of the source, and never of a pass."""

from __future__ import annotations

from lprc.compiler.compile.settings import Execution
from lprc.core.errors import LprcError
from lprc.core.running.size_search import UnrunnableError


def unverified(
    failure: LprcError, execution: Execution, graph: str = "the source itself"
) -> UnrunnableError:
    """What to say of a source that was to be run before the passes, and fails.

    Args:
        failure: How ONNX Runtime fails on it.
        execution: What it was run on.
        graph: What to call it.
    """
    given = "the inputs that were given" if execution.inputs else "made-up inputs"
    advice = failure.hint or ("are they what it takes?" if execution.inputs else None)
    unchecked = "--verify off leaves it unchecked"
    return UnrunnableError(
        f"{graph} does not run on {given}: {failure.message}",
        where=execution.source,
        hint=f"{advice}; {unchecked}" if advice else unchecked,
    )
