"""Latencies on inputs that a caller gives in any of the ways that `compile` takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.artifact.artifact import Artifact
from lprc.compiler.compile.input_shapes import (
    InputShapes,
    checked_shapes,
    run_sizes,
    with_sizes,
)
from lprc.compiler.compile.samples import Samples, inputs_of
from lprc.compiler.measure.bench import BenchRows, bench
from lprc.compiler.measure.contestants import InputsOf, InterfaceInputs, contestants
from lprc.compiler.measure.evaluation import interface_of, sample_inputs
from lprc.core.errors import UsageError
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.layer_times import LayerTime
from lprc.core.running.numerics import Arrays
from lprc.core.running.runner import Runner
from lprc.core.tasks.task_file import task_choice


def bench_on(
    artefacts: Sequence[str | Path],
    *,
    batch: int = 1,
    inputs: Samples | None = None,
    data: Path | None = None,
    task: str | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    threads: int | None = None,
    rounds: int = 200,
    warmup: int = 20,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> BenchRows:
    """As `bench`, with sizes by the names of dimensions and inputs of any kind.

    Args:
        artefacts: As of `bench`.
        batch: As of `bench`.
        inputs: Of several samples the first is what counts.
        data: Labelled samples instead, of which the first counts, prepared as each artefact's task
            says.
        task: What the models are for; None for an artefact's own.
        input_shapes: Shapes of inputs to measure at; ``""`` is the only input.
        dims: Sizes of symbolic dimensions to measure at, by symbol.
        threads: As of `bench`.
        rounds: As of `bench`.
        warmup: As of `bench`.
        seed: As of `bench`.
        progress: As of `bench`.

    Raises:
        UsageError: Sizes that do not fit the first artefact, or inputs and sizes together.
        LprcError: As of `bench`.
    """
    given = measured_on(inputs=inputs, data=data, task=task, input_shapes=input_shapes, dims=dims)
    return bench(
        artefacts,
        batch=batch,
        inputs=given,
        threads=threads,
        rounds=rounds,
        warmup=warmup,
        seed=seed,
        progress=progress,
    )


def measured_on(
    *,
    inputs: Samples | None = None,
    data: Path | None = None,
    task: str | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
) -> InputsOf | InterfaceInputs | None:
    """What to measure artefacts on, which are loaded later; arguments and errors as of `bench_on`.

    Returns:
        What gives each artefact its own inputs, or all the same; None for random ones.
    """
    if inputs is not None and (input_shapes or dims):
        raise UsageError("they have sizes already", where="--inputs", option="--inputs")
    if data is not None and (inputs is not None or input_shapes or dims):
        raise UsageError("its samples are the inputs", where="--data", option="--data")
    if data is not None:
        return _first_sample(data, task)
    if inputs is None and not input_shapes and not dims:
        return None

    def prepare(interface: ir.Model, where: str) -> tuple[Arrays | None, InputSizes]:
        shapes = checked_shapes(interface, input_shapes, where)
        sizes = run_sizes(interface, shapes, dims, where)
        samples = inputs_of(with_sizes(interface, sizes), where, inputs)
        return (samples[0] if samples else None), sizes

    return InterfaceInputs(prepare)


def _first_sample(data: Path, task: str | None) -> InputsOf:
    """The first sample in `data`, prepared as each artefact takes it."""
    choice = task_choice(task)

    def inputs(artefact: Artifact, runner: Runner) -> Arrays:
        interface = interface_of(runner, str(artefact.path))
        fitted = choice.or_own(artefact.task).resolve(interface)
        return sample_inputs(fitted, interface, fitted.labelled(data)[0].path)

    return inputs


def layers_on(
    artefacts: Sequence[str | Path],
    *,
    batch: int = 1,
    rounds: int = 200,
    seed: int = 0,
    threads: int | None = None,
    **places: Any,
) -> dict[str, list[LayerTime]]:
    """What each layer of artefacts takes, as their runtimes count it, by the artefacts' names.

    Args:
        artefacts: As of `bench_on`.
        batch: As of `bench_on`.
        rounds: How often each is run.
        seed: As of `bench_on`.
        threads: As of `bench_on`.
        places: Where inputs come from, as of `measured_on`.

    Raises:
        UsageError: A runtime that does not tell.
        LprcError: As of `bench_on`.
    """
    inputs = measured_on(**places)
    ready = contestants(artefacts, batch=batch, inputs=inputs, threads=threads, seed=seed)
    return {
        str(name): artefact.layers(arrays, rounds, threads=threads)
        for name, artefact, arrays in zip(artefacts, ready.opened, ready.fed, strict=True)
    }
