"""Samples as a caller gives them (a folder of images, or arrays), as what passes run on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, Union, cast

import numpy as np
import onnx_ir as ir

from lprc.compiler.compile.array_samples import ArraySamples, fitting_sample
from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.input_shapes import (
    InputShapes,
    checked_shapes,
    run_sizes,
    with_sizes,
)
from lprc.compiler.compile.settings import Execution, VerifyMode
from lprc.core.errors import DataError, UsageError
from lprc.core.files.array_listing import SUFFIXES, array_files
from lprc.core.running.numerics import Arrays
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice

Samples: TypeAlias = Union[str, "os.PathLike[str]", Iterable[Arrays]]
"""A folder of images or of .npz files, one .npz file, or sets of inputs by input name."""


def execution_of(
    model: ir.Model,
    where: str,
    *,
    calibration: Samples | None = None,
    inputs: Samples | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    task: TaskChoice = BY_MODEL,
    verify: VerifyMode = "final",
    seed: int = 0,
) -> Execution:
    """What to run passes on; without `inputs` the first calibration samples verify.

    Args:
        model: The source graph, whose input takes the images.
        where: What to call it in errors.
        calibration: For data-driven passes. An iterator that can be read once is kept in memory.
        inputs: Real inputs to verify with.
        input_shapes: Shapes of inputs that are to be fixed in the graph.
        dims: Sizes of symbolic dimensions of made-up inputs, by symbol.
        task: How images are preprocessed.
        verify: When graphs are run and compared.
        seed: Of random inputs.

    Raises:
        UsageError: An unknown way to verify, one sample where several are wanted, or shapes and
            sizes that do not fit the model.
        DataError: Samples of another kind, or images that do not fit the model.
    """
    if verify not in ("off", "final", "each"):
        raise UsageError(f"'{verify}' is none of off, final and each", option="verify")
    shapes = checked_shapes(model, input_shapes, where)
    sizes = run_sizes(model, shapes, dims, where)
    fixed = with_sizes(model, shapes) if shapes else model
    samples = samples_of(fixed, where, calibration, task)
    real = inputs_of(fixed, where, inputs)
    if real is None and len(samples):
        real = enough_to_verify(samples)
    return Execution(verify, real, samples, seed, sizes, shapes, where)


def inputs_of(model: ir.Model, where: str, inputs: Samples | None) -> list[Arrays] | None:
    """Real inputs to run a model on; None for none.

    Args:
        model: The graph.
        where: What to call it in errors.
        inputs: A folder of arrays, one file of them, or arrays by input name. Of a folder those
            count that `enough_to_verify` takes.

    Raises:
        UsageError: One set of inputs where several are wanted.
        DataError: Files that can't be read, or arrays that do not fit the model's inputs.
    """
    if inputs is None:
        return None
    if isinstance(inputs, (str, os.PathLike)):
        return enough_to_verify(ArraySamples(Path(inputs), model, where, whole=True))
    if isinstance(inputs, Mapping):
        raise UsageError(
            "one set of inputs, where several are wanted",
            option="inputs",
            hint="put it into a list",
        )
    given = [_arrays(sample, "inputs") for sample in inputs]
    return [fitting_sample(sample, model, f"inputs[{i}]") for i, sample in enumerate(given)]


MOST_TO_VERIFY, FEWEST_TO_VERIFY = 32, 4
LARGE = 1 << 20
"""Numbers in samples, 7 images of 224×224, beyond which more samples only take time."""


def enough_to_verify(samples: Sequence[Arrays]) -> list[Arrays]:
    """The first of `samples` that graphs are compared on: 32, of large ones fewer, at least 4."""
    chosen: list[Arrays] = []
    numbers = 0
    for index in range(min(len(samples), MOST_TO_VERIFY)):
        if numbers >= LARGE and len(chosen) >= FEWEST_TO_VERIFY:
            break
        chosen.append(samples[index])
        numbers += sum(np.size(array) for array in chosen[-1].values())
    return chosen


def samples_of(
    model: ir.Model, where: str, calibration: Samples | None, task: TaskChoice
) -> Sequence[Arrays]:
    """Calibration data as a sequence, arguments as of `execution_of`; empty for None.

    Raises:
        UsageError: One sample where several are wanted.
        DataError: Samples of another kind, or images that do not fit the model.
    """
    if calibration is None:
        return ()
    if isinstance(calibration, (str, os.PathLike)):
        place = Path(calibration)
        if place.suffix.lower() in SUFFIXES or array_files(place):
            return ArraySamples(place, model, where)
        return ImageSamples(place, task, model, where)
    if isinstance(calibration, Mapping):
        raise UsageError(
            "one set of inputs, where several are wanted",
            option="calibration",
            hint="put it into a list",
        )
    if isinstance(calibration, Sequence):
        # Not copied: it may be longer than memory is large.
        return cast("Sequence[Arrays]", calibration)
    return [_arrays(sample, "calibration") for sample in calibration]


def _arrays(sample: object, option: str) -> Arrays:
    if not isinstance(sample, Mapping):
        raise DataError(
            f"{option} holds {type(sample).__name__}, and not arrays by input name", option=option
        )
    return {str(name): np.asarray(array) for name, array in sample.items()}
