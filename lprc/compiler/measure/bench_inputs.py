"""What several artefacts are measured on: the same sizes for all, and the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.compiler.artifact.artifact import LOWERED, Artifact
from lprc.core.errors import DataError
from lprc.core.onnx_io.gzip_files import SUFFIX
from lprc.core.onnx_io.model_io import load
from lprc.core.running.input_sizes import InputSizes, symbolic_dimensions
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.random_inputs import random_inputs
from lprc.core.running.runner import Runner
from lprc.core.running.size_search import MadeInputs, runnable_inputs


def common_interface(artefacts: Sequence[Artifact], runners: Sequence[Runner]) -> ir.Model:
    """A graph with the inputs of the first artefact, as far as the others leave them open.

    It is the artefact's own graph where there is one in ONNX, so that its symbols have names.
    """
    model = _graph(artefacts[0], runners[0])
    for value in model.graph.inputs:
        for runner in runners:
            fixed = runner.inputs.get(value.name or "")
            if value.shape is not None and fixed is not None and len(fixed) == len(value.shape):
                value.shape = ir.Shape(
                    [
                        dim if size is None or axis == 0 else size
                        for axis, (dim, size) in enumerate(zip(value.shape, fixed, strict=True))
                    ]
                )
    return model


def _graph(artefact: Artifact, runner: Runner) -> ir.Model:
    lowered = artefact.path / LOWERED
    file = lowered if lowered.is_file() else artefact.model
    if file.suffix in (".onnx", SUFFIX):
        return load(file)
    inputs = [
        ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
        for name, shape in runner.inputs.items()
    ]
    return ir.Model(ir.Graph(inputs, [], nodes=[]), ir_version=10)


def found_sizes(
    interface: ir.Model, runners: Sequence[Runner], batch: int, seed: int, sizes: InputSizes
) -> MadeInputs:
    """Sizes that all runners take: the given ones, and for the rest the smallest that run.

    Raises:
        UnrunnableError: There are none.
        NoInputsError: An input that is no tensor of a known rank.
    """
    if all(dimension.is_batch for dimension in symbolic_dimensions(interface)):
        return MadeInputs({}, _known(interface, sizes))

    def run(arrays: Arrays, _: float) -> Mapping[str, Any]:
        shapes = {name: array.shape for name, array in arrays.items()}
        outputs: Mapping[str, Any] = {}
        for runner in runners:
            outputs = runner.run(values(runner, shapes, batch, seed, ""))
        return outputs

    searched = runnable_inputs(interface, run, seed=seed, batch=batch, sizes=sizes)
    arrays = random_inputs(interface, seed=seed, batch=batch, sizes=searched.sizes)
    return MadeInputs({}, {name: array.shape for name, array in arrays.items()}, searched.invented)


def _known(interface: ir.Model, sizes: InputSizes) -> InputSizes:
    """`sizes`, and those that are fixed."""
    return {
        name: tuple(
            dim if isinstance(dim, int) else size
            for dim, size in zip(shape, (*sizes.get(name, ()), *[None] * len(shape)), strict=False)
        )
        for name, shape in (
            (value.name or "", value.shape or ()) for value in interface.graph.inputs
        )
    }


def values(
    runner: Runner, sizes: InputSizes, batch: int, seed: int, where: str
) -> dict[str, NDArray[Any]]:
    """Random inputs of a runner, of `sizes` where it leaves them open.

    Raises:
        DataError: A size that is not known, or a type of which no values can be made up.
    """
    generator = np.random.default_rng(seed)
    inputs = {}
    for name, shape in runner.inputs.items():
        given = (*sizes.get(name, ()), *[None] * len(shape))
        dimensions = [
            _size(dim, given[axis], batch if axis == 0 else None) for axis, dim in enumerate(shape)
        ]
        if None in dimensions:
            raise DataError(
                f"input '{name}' has symbolic dimensions besides its batch",
                where=where,
                hint="give their sizes with --dim or --input-shape",
            )
        counts = [int(dim or 0) for dim in dimensions]
        inputs[name] = _array(generator, counts, runner.dtypes[name], f"{where}: input '{name}'")
    return inputs


def _size(dim: int | None, given: int | None, batch: int | None) -> int | None:
    if dim is not None:
        return dim
    return batch if given is None else given


def _array(
    generator: np.random.Generator, sizes: list[int], dtype: np.dtype[Any], where: str
) -> NDArray[Any]:
    if dtype.kind == "f":
        return generator.standard_normal(sizes).astype(dtype)
    if dtype.kind == "b":
        return generator.random(sizes) < 0.5
    if dtype.kind in "iu":
        # Small enough to be an index of most things; images are uint8.
        return generator.integers(0, 256 if dtype == np.uint8 else 2, sizes).astype(dtype)
    raise DataError("no values of its type can be made up", where=where)


def given_inputs(runner: Runner, sample: Arrays, where: str) -> dict[str, NDArray[Any]]:
    """A real sample in a runner's own element types.

    Raises:
        DataError: It has not all inputs.
    """
    missing = [name for name in runner.inputs if name not in sample]
    if missing:
        raise DataError(
            f"takes '{missing[0]}', and --inputs has {', '.join(sorted(sample))}", where=where
        )
    return {
        name: sample[name].astype(dtype, copy=False) if dtype.kind != "O" else sample[name]
        for name, dtype in runner.dtypes.items()
    }


def checked_run(runner: Runner, inputs: Arrays, where: str) -> None:
    """Run once outside of the timed loop, whose errors are the runtime's own.

    Raises:
        RunError: It fails.
    """
    try:
        runner.run(inputs)
    except RunError as error:
        raise RunError(error.message, where=where, hint=error.hint) from error
