"""Latencies on inputs that a caller gives in any of the ways that `compile` takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.input_shapes import (
    InputShapes,
    checked_shapes,
    run_sizes,
    with_sizes,
)
from lprc.compiler.compile.samples import Samples, inputs_of
from lprc.compiler.measure.bench import BenchRow, bench
from lprc.compiler.measure.bench_inputs import common_interface
from lprc.core.errors import UsageError
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays


def bench_on(
    artefacts: Sequence[str | Path],
    *,
    batch: int = 1,
    inputs: Samples | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    threads: int | None = None,
    rounds: int = 200,
    warmup: int = 20,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[BenchRow]:
    """As `bench`, with sizes by the names of dimensions and inputs of any kind.

    Args:
        artefacts: As of `bench`.
        batch: As of `bench`.
        inputs: Of several samples the first is what counts.
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
    if inputs is not None and (input_shapes or dims):
        raise UsageError("they have sizes already", where="--inputs", option="--inputs")
    sample: Arrays | None = None
    sizes: InputSizes = {}
    if inputs is not None or input_shapes or dims:
        opened = [open_artifact(name) for name in artefacts]
        runners = [artefact.runner(threads=threads) for artefact in opened]
        interface, where = common_interface(opened, runners), str(opened[0].path)
        shapes = checked_shapes(interface, input_shapes, where)
        sizes = run_sizes(interface, shapes, dims, where)
        samples = inputs_of(with_sizes(interface, sizes), where, inputs)
        sample = samples[0] if samples else None
    return bench(
        artefacts,
        batch=batch,
        inputs=sample,
        sizes=sizes,
        threads=threads,
        rounds=rounds,
        warmup=warmup,
        seed=seed,
        progress=progress,
    )
