"""The steps that make an artefact, without judging it: lower, emit, describe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.artifact.artifact import Artifact, artifact_in
from lprc.compiler.artifact.build_inputs import BuildInputs
from lprc.compiler.artifact.manifest import manifest, passes_document
from lprc.compiler.artifact.task_files import write_task
from lprc.compiler.compile.emit import emit_artefact
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.compile.input_shapes import sizes_that_became_fixed
from lprc.compiler.compile.lower import lower
from lprc.compiler.compile.optimize import Optimized
from lprc.compiler.compile.request import CompileRequest
from lprc.core.running.numerics import OutputDelta
from lprc.core.targets.emitter import Emitted
from lprc.core.tasks.in_graph import embedded
from lprc.core.tasks.task_file import BY_MODEL


@dataclass(frozen=True)
class Built:
    """An artefact's files, and what there is to say of them.

    Attributes:
        folder: Where they are; there is no manifest among them yet.
        manifest: What is to stand in it; what is measured of the artefact is added.
        optimized: What the passes did.
        emitted: What the emitter said.
        deltas: How far the artefact's outputs are from the lowered graph's; empty where it can't
            run here.
    """

    folder: Path
    manifest: dict[str, Any]
    optimized: Optimized
    emitted: Emitted
    deltas: list[OutputDelta]

    @property
    def artifact(self) -> Artifact:
        """What can be run of it."""
        return artifact_in(self.folder, self.manifest)


def build_artefact(request: CompileRequest, folder: Path) -> Built:
    """Make the artefact that `request` asks for in `folder`, which is empty.

    Raises:
        LprcError: As of `lower` and `emit_artefact`.
    """
    inputs = BuildInputs.of(
        request.source,
        request.model,
        calibration=request.execution.calibration,
        verify=request.execution.verify,
        seed=request.execution.seed,
        emit=request.emit,
    )
    model = request.model.clone()
    optimized, lowered = lower(request, model, folder)
    emitted, deltas = emit_artefact(request, model, lowered, optimized)
    fixed = list(sizes_that_became_fixed(request.model, model, request.execution.shapes))
    optimized = replace(optimized, warnings=[*fixed, *optimized.warnings])
    _write_task(request, model, folder)
    document = manifest(
        inputs,
        request.target,
        request.options,
        request.pipeline,
        passes=passes_document(optimized.records, optimized.deltas),
        emitted=emitted,
        deltas=deltas,
        warnings=[*optimized.warnings, *emitted.warnings],
        folder=folder,
    )
    return Built(folder, document, optimized, emitted, deltas)


def _write_task(request: CompileRequest, model: ir.Model, folder: Path) -> None:
    """Write what the lowered `model` is for, where the user said it or it is measured."""
    demands = request.demands
    if demands.task == BY_MODEL and demands.data is None and not demands.embed:
        return
    interface = interface_of_graph(model, str(request.source))
    if demands.embed:  # what evidently is the source's task need not be the lowered graph's
        task = demands.task.resolve(interface_of_graph(request.model, str(request.source)))
        if "preprocessing" in demands.embed:
            task = embedded(task, demands.source_color or task.input.color)
        task = task.fitted(interface)
    else:
        task = demands.task.resolve(interface)
    write_task(task, interface, folder)
