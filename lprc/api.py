"""The Python API: what the command line does, as functions. Nothing here prints.

A model is a path to an ONNX file, an `onnx.ModelProto` or an `onnx_ir.Model`; one in memory is
never changed. All functions may be called from several threads at once, for outputs of their own.
Whatever a caller can cause is an `lprc.LprcError`.
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import onnx
import onnx_ir as ir

from lprc.compiler.artifact.artifact import Artifact
from lprc.compiler.compile.arguments import (
    Model,
    Progress,
    destination,
    model_file,
    model_object,
    option_texts_of,
)
from lprc.compiler.compile.bench_request import bench_on
from lprc.compiler.compile.input_shapes import InputShapes, fixing
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.optimize import Optimized
from lprc.compiler.compile.optimize import optimize as _optimize
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.samples import Samples, execution_of
from lprc.compiler.compile.settings import Observation, VerifyMode
from lprc.compiler.measure import bench as _bench
from lprc.compiler.measure import evaluation as _evaluation
from lprc.core.graph_diff.compare import diff_models
from lprc.core.graph_diff.result import GraphDifference
from lprc.core.onnx_io import model_io
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.already import Choice
from lprc.core.renamed import renamed_argument
from lprc.core.targets.emitter import Emit
from lprc.core.tasks.image_input import ColorOrder
from lprc.core.tasks.task_file import task_choice


class OptimizeResult(NamedTuple):
    """A rewritten model, and what each pass did to it."""

    model: ir.Model
    report: Optimized


@renamed_argument("plates", "task")
def compile(  # noqa: A001 - the word for it
    model: Model,
    target: str,
    *,
    out: str | os.PathLike[str] | None = None,
    passes: str | Pipeline | None = None,
    then: str | Pipeline | None = None,
    emit: Emit = "engine",
    options: Mapping[str, object] | None = None,
    calibration: Samples | None = None,
    inputs: Samples | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    verify: VerifyMode = "final",
    data: str | os.PathLike[str] | None = None,
    max_accuracy_drop: float | None = None,
    min_accuracy: float | None = None,
    guard: bool = False,
    task: str | None = None,
    embed: Sequence[str] = (),
    source_color: ColorOrder | None = None,
    quantized: Choice = "refuse",
    seed: int = 0,
    progress: Progress | None = None,
) -> Artifact:
    """Compile a model for a target, as ``lprc compile`` does.

    Args:
        model: What to compile.
        target: Its name; ``lprc targets`` lists them.
        out: The folder to write; it appears whole or not at all, and replaces an earlier artefact.
            None writes to a temporary one that lives as long as the artefact that is returned.
        passes: A pipeline instead of the target's own.
        then: A pipeline to run behind it.
        emit: ``onnx`` stops at the lowered ONNX and needs no SDK; ``kit`` writes what builds the
            engine on the device.
        options: The target's options, for instance ``{"compute_capability": "8.6"}``; ``-`` and
            ``_`` in names are the same.
        calibration: For data-driven passes. An iterator that can be read once is kept in memory.
        inputs: Real inputs to verify with; None takes the first of `calibration`, or random ones
            from `seed`.
        input_shapes: Shapes of inputs that are fixed in the graph, for instance
            ``{"image": (1, 3, 640, 640)}``; None in one leaves a size open.
        dims: Sizes of symbolic dimensions to verify with, by symbol; the graph stays as it is.
        verify: When graphs are run and compared: never, once at the end, after each pass.
        data: Labelled samples; the artefact's score is in ``manifest["metrics"]``.
        max_accuracy_drop: Leave layers in float until accuracy drops by no more than this.
        min_accuracy: Refuse an artefact with a lower score on `data`, from 0 to 1.
        guard: Refuse an artefact that is slower or less accurate than the float32 one.
        task: What the model is for: a built-in task's name, a kind of tasks, or a TOML file.
        embed: Which parts of the task become part of the graph: ``preprocessing``, so that it
            takes bytes [N, height, width, channels], ``postprocessing``, so that it gives answers.
        source_color: The order of colours in which images come to such a graph; None for the
            network's own.
        quantized: What to do with a model that is quantised already.
        seed: Of the random inputs.
        progress: Called as work goes on.

    Raises:
        LprcError: One of its subclasses, as of `lprc.compiler.compile.request.compile_request` and
            `lprc.compiler.compile.model.compile_model`.
    """
    with model_file(model) as path, destination(out) as folder:
        request = compile_request(
            path,
            target,
            folder,
            passes=None if passes is None else str(passes),
            then=None if then is None else str(then),
            emit=emit,
            options=option_texts_of(options or {}),
            calibration=calibration,
            inputs=inputs,
            input_shapes=input_shapes,
            dims=dims,
            verify=verify,
            data=None if data is None else Path(data),
            max_accuracy_drop=max_accuracy_drop,
            min_accuracy=min_accuracy,
            guard=guard,
            task=task,
            embed=embed,
            source_color=source_color,
            quantized=quantized,
            seed=seed,
            progress=progress,
        )
        artifact = compile_model(request).artifact
    if out is None:
        weakref.finalize(artifact, shutil.rmtree, folder.parent, ignore_errors=True)
    return artifact


@renamed_argument("plates", "task")
def optimize(
    model: Model,
    passes: str | Pipeline,
    *,
    calibration: Samples | None = None,
    inputs: Samples | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    verify: VerifyMode = "final",
    task: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> OptimizeResult:
    """Run a pipeline without a target, as ``lprc opt`` does; arguments as of `compile`.

    Raises:
        UsageError: A pipeline that can't be read.
        InvalidModelError: A model that is not valid.
        PromiseBrokenError: A pass changed the outputs by more than it promised.
    """
    pipeline = passes if isinstance(passes, Pipeline) else Pipeline.parse(passes)
    with model_file(model) as path:
        loaded = model_io.load(path)
        execution = execution_of(
            loaded,
            str(path),
            calibration=calibration,
            inputs=inputs,
            input_shapes=input_shapes,
            dims=dims,
            task=task_choice(task),
            verify=verify,
            seed=seed,
        )
        ir.external_data.load_to_model(loaded)  # its file may be gone after this
        pipeline = fixing(execution.shapes, pipeline)
        report = _optimize(loaded, pipeline, execution, Observation(progress=progress))
        return OptimizeResult(loaded, report)


def load(path: str | os.PathLike[str]) -> ir.Model:
    """Read and check an ONNX file; errors as of `lprc.core.onnx_io.model_io.load`."""
    return model_io.load(Path(path))


def save(model: onnx.ModelProto | ir.Model, path: str | os.PathLike[str]) -> None:
    """Write a model deterministically and atomically; over 2 GB of weights go to a file beside it.

    Raises:
        OutputError: The file can't be written.
        InvalidModelError: The model is not valid.
    """
    model_io.save(model_object(model), Path(path))


def diff(before: Model, after: Model) -> GraphDifference:
    """What differs between two models in what they compute, as ``lprc diff`` shows it.

    Raises:
        InvalidModelError: One can't be read, or is not valid.
    """
    return diff_models(_graph(before), _graph(after))


def _graph(model: Model) -> ir.Model:
    if isinstance(model, (str, os.PathLike)):
        return model_io.load(Path(model))
    return model_object(model)


@renamed_argument("plates", "task")
def evaluate(
    artefact: str | os.PathLike[str] | Artifact,
    data: str | os.PathLike[str],
    *,
    task: str | None = None,
    batch: int = 1,
    threads: int | None = None,
    progress: Progress | None = None,
) -> _evaluation.Evaluation:
    """How well an artefact or model file does its task, as ``lprc eval`` measures it.

    Raises:
        DataError: Data or task do not fit each other or the model.
        InvalidModelError: No artefact, or one that its runtime can't load.
    """
    return _evaluation.evaluate(
        _name(artefact),
        Path(data),
        task=task_choice(task),
        batch=batch,
        threads=threads,
        explain=True,
        progress=progress,
    )


def bench(
    *artefacts: str | os.PathLike[str] | Artifact,
    batch: int = 1,
    inputs: Samples | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    threads: int | None = None,
    rounds: int = 200,
    warmup: int = 20,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[_bench.BenchRow]:
    """Latencies of artefacts or model files, measured in turn; errors as of ``lprc bench``."""
    return bench_on(
        [_name(artefact) for artefact in artefacts],
        batch=batch,
        inputs=inputs,
        input_shapes=input_shapes,
        dims=dims,
        threads=threads,
        rounds=rounds,
        warmup=warmup,
        seed=seed,
        progress=progress,
    )


def _name(artefact: str | os.PathLike[str] | Artifact) -> str:
    """What opens it again: an artefact's runtime may be another than its file's own."""
    if not isinstance(artefact, Artifact):
        return os.fspath(artefact)
    return str(artefact.path) if artefact.manifest else f"{artefact.path}@{artefact.backend}"
