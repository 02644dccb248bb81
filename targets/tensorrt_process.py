"""Have TensorRT build engines in a process of its own, and its failures say what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.core.errors import (
    IllegalForTargetError,
    LprcError,
    MissingDependencyError,
    OutputError,
    UsageError,
)
from lprc.core.graph.provenance import describe
from lprc.core.process.worker import WorkerError, run_worker

SETTINGS = "build.json"
_MODULE = "lprc.targets.tensorrt_scripts.build_engine"


_INSTEAD = (
    "-O verbosity=verbose shows where; --emit onnx keeps the graph, and ort-int8 runs all of ONNX"
)


def build(
    model: ir.Model,
    settings: dict[str, Any],
    folder: Path,
    scratch: Path,
    *,
    where: str,
    time_limit: int,
    progress: Callable[[float, int], None] | None,
) -> dict[str, Any]:
    """Build an engine from settings, as of `tensorrt_scripts.build_engine`.

    Args:
        model: The lowered graph, which errors speak of.
        settings: With names relative to `folder`.
        folder: Where the lowered graph lies and the engine goes.
        scratch: A folder for what is not to stay.
        where: The model that the user named, for errors.
        time_limit: Seconds.
        progress: Called with steps done and their number.

    Returns:
        What the engine is made of.

    Raises:
        IllegalForTargetError: TensorRT refuses nodes of the graph.
        UsageError: An option that it can't follow.
        OutputError: The engine can't be written.
        WorkerError: Everything else.
    """
    file, complaint = folder / SETTINGS, scratch / "failure.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    try:
        done = run_worker(
            "TensorRT",
            [_MODULE, str(file.absolute()), "--worker", "--failure", str(complaint)],
            where=where,
            time_limit=time_limit,
            complaint=complaint,
            progress=progress,
            show_messages=settings["verbosity"] != "quiet",
        )
    finally:
        file.unlink()
    if not done:
        raise _error(json.loads(complaint.read_text(encoding="utf-8")), model, where)
    layers = folder / str(settings["layers"])
    if not layers.is_file():  # vendor code may end the process with code 0
        hint = "-O verbosity=verbose shows how far it came"
        raise WorkerError("TensorRT ended without a result", where=where, hint=hint)
    report: dict[str, Any] = json.loads(layers.read_text(encoding="utf-8"))
    return report


def _error(failure: dict[str, Any], model: ir.Model, where: str) -> LprcError:
    message, hint = _plain(str(failure["message"])), str(failure["hint"]) or None
    kind, nodes = failure["kind"], failure["nodes"]
    if kind == "missing":
        return MissingDependencyError(message, where="runtime", hint=hint)
    if kind == "files":
        return OutputError(message, where=where, hint="look at permissions and space")
    if kind == "capability":
        return UsageError(message, where="compute-capability", hint=hint)
    if nodes:
        more = f" (and {len(nodes) - 1} more)" if len(nodes) > 1 else ""
        first = nodes[0]
        return IllegalForTargetError(
            f"{_place(first, model)}: {message}: {first['message']}{more}",
            where=where,
            hint="cut the graph in front of it, or replace it; `--emit onnx` keeps the graph",
        )
    if kind == "profile":
        return WorkerError(message, where="profile", hint=hint)
    return WorkerError(message, where=where, hint=hint or _INSTEAD)


def _place(node: dict[str, Any], model: ir.Model) -> str:
    """The node that TensorRT speaks of, and the source node that it came from."""
    nodes, index, name = list(model.graph), int(node["index"]), str(node["name"])
    if 0 <= index < len(nodes) and name in ("", nodes[index].name):
        return describe(nodes[index])
    found = next((each for each in nodes if name and each.name == name), None)
    return f"node '{name}' ({node['operator']})" if found is None else describe(found)


def _plain(message: str) -> str:
    """A message without where in the vendor's sources it comes from."""
    message = re.sub(r"^I?\w+::\w+: Error Code \d+: ", "", message)
    message = re.sub(r"\s*\bIn \w+(\(\))? at /\S+:\d+", "", message)
    message = re.sub(r"\[\w+\.(cpp|h)\b[^]]*\]\s*", "", message)
    return message.strip().removesuffix(".")[:500]
