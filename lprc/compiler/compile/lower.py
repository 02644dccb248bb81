"""From the source graph to the lowered one: passes, legality, and the two files that tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from lprc._version import __version__
from lprc.compiler.artifact.artifact import LOWERED
from lprc.compiler.artifact.pass_log import write_log
from lprc.compiler.compile.optimize import Optimized, optimize
from lprc.compiler.compile.request import CompileRequest
from lprc.core.errors import IllegalForTargetError
from lprc.core.graph.provenance import describe
from lprc.core.onnx_io.model_io import save
from lprc.core.targets.legality import check
from lprc.core.targets.target import Target


def lower(request: CompileRequest, model: ir.Model, folder: Path) -> tuple[Optimized, Path]:
    """Rewrite `model` for the target, and write it and the passes' log into `folder`.

    Args:
        request: What is compiled.
        model: A copy of the source graph; it becomes the lowered graph.
        folder: The artefact's.

    Returns:
        What the passes did, and the lowered graph's file.

    Raises:
        PromiseBrokenError: A pass changed the outputs by more than it may.
        IllegalForTargetError: The lowered graph breaks a rule of the target.
    """
    optimized = optimize(
        model, request.pipeline, request.execution, request.observation, request.memory
    )
    _check_legality(model, request.target, request.source)
    model.producer_name, model.producer_version = "lprc", __version__
    lowered = folder / LOWERED
    save(model, lowered)
    write_log(optimized.records, folder)
    return optimized, lowered


def _check_legality(model: ir.Model, goal: Target, source: Path) -> None:
    violations = check(model, goal.rules)
    if not violations:
        return
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    raise IllegalForTargetError(
        f"{first.place}: {first.message}; illegal for target '{goal.name}'{more}",
        where=str(source),
        hint=first.remedy,
        node=next((node.name for node in _nodes(model) if describe(node) == first.place), None),
        path=source,
    )


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    bodies: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for body in bodies:
        yield from body.all_nodes()
