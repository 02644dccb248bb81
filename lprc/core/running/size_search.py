"""Sizes of symbolic dimensions that a graph runs with, searched for where none are given."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import LprcError
from lprc.core.graph import shapes
from lprc.core.running.input_sizes import (
    HOW_TO_GIVE,
    InputSizes,
    SymbolicDimension,
    size_texts,
    sizes_of,
    symbolic_dimensions,
)
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.numerics import Arrays, Session
from lprc.core.running.random_inputs import UNKNOWN_DIMENSION, random_inputs
from lprc.core.running.runner import Runs
from lprc.core.running.size_hints import total_stride, written_sizes

COMMON_SIZES = (
    1, 2, 3, 4, 8, 16, 24, 28, 32, 48, 64, 80, 94, 96, 112, 128, 160, 192, 224, 256, 299, 320, 384,
    416, 512, 640, 1024, 1536, 4096, 16000,
)  # fmt: skip
"""Sizes to try, of images and of signals; multiples of the graph's stride come besides."""

MOST_TRIES = 400
MOST_SECONDS = 30.0
MOST_ELEMENTS = 1 << 24
"""Of all inputs together."""

MOST_VALUE_ELEMENTS = 1 << 27
"""Of any value that shape inference knows the size of."""

_LARGEST_HINT = 2048

_SMALL = 64
"""Sizes up to here are tried before 1."""

_HARMLESS_ELEMENTS = 1 << 14
"""Inputs that are so small need no look at what is made of them."""

_MOST_COMBINATIONS = 20_000

_BATCHES = (2, 1)

Run = Callable[[Arrays, float], Mapping[str, Any]]
"""Runs a graph on inputs within a number of seconds; raises `LprcError` where it fails."""


class UnrunnableError(LprcError):
    """A graph that ONNX Runtime does not run, at any size that was tried."""

    exit_code = 3


@dataclass(frozen=True)
class MadeInputs:
    """Inputs that a graph runs on.

    Attributes:
        arrays: The inputs by name.
        sizes: All sizes that were given, and those that were found and are not the default: what
            `random_inputs` needs to make such inputs again.
        invented: Sizes that were not given, of other dimensions than a batch, by label.
        outputs: What it puts out for them.
    """

    arrays: dict[str, NDArray[Any]]
    sizes: InputSizes = field(default_factory=dict)
    invented: dict[str, int] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)


def runnable_inputs(
    model: ir.Model,
    run: Run,
    *,
    seed: int = 0,
    batch: int | None = None,
    sizes: InputSizes | None = None,
) -> MadeInputs:
    """Random inputs of sizes that `run` takes: the smallest of the common ones that do.

    All open sizes are the same at first, then each has its own; a batch is `batch`, or 2 or 1.
    Outputs that are empty count only where no sizes give others.

    Args:
        model: The graph.
        run: Runs it.
        seed: Of the values.
        batch: Size of symbolic first dimensions to try first.
        sizes: What is known of sizes.

    Raises:
        NoInputsError: As of `random_inputs`.
        UnrunnableError: None of the sizes that were tried runs.
    """
    dimensions = symbolic_dimensions(model)
    search = _Search(model, run, seed, dimensions, dict(sizes or {}))
    return search.first(batch)


def made_up_inputs(
    model: ir.Model,
    *,
    seed: int = 0,
    batch: int | None = None,
    sizes: InputSizes | None = None,
) -> dict[str, NDArray[Any]]:
    """Random inputs that ONNX Runtime runs; arguments and errors as of `runnable_inputs`.

    A graph that leaves no size open but a batch is not run for it.
    """
    if all(dimension.is_batch for dimension in symbolic_dimensions(model)):
        return random_inputs(model, seed=seed, batch=batch, sizes=sizes)
    run = IsolatedSession(model).run_within
    return runnable_inputs(model, run, seed=seed, batch=batch, sizes=sizes).arrays


def inputs_of_both(
    model: ir.Model,
    reference: Session | IsolatedSession,
    runner: Runs,
    *,
    seed: int = 0,
    sizes: InputSizes | None = None,
) -> dict[str, NDArray[Any]]:
    """Random inputs of a batch of 1 that a graph and what was made of it run on.

    Args:
        model: The graph.
        reference: It, loaded.
        runner: What was made of it.
        seed: As of `runnable_inputs`.
        sizes: As of `runnable_inputs`.

    Raises:
        NoInputsError: As of `random_inputs`.
        UnrunnableError: None of the sizes that were tried runs in both.
    """
    if all(dimension.is_batch for dimension in symbolic_dimensions(model)):
        return random_inputs(model, seed=seed, batch=1, sizes=sizes)

    def run(arrays: Arrays, seconds: float) -> Arrays:
        outputs = reference.run_within(arrays, seconds)
        runner.run(arrays)
        return outputs

    return runnable_inputs(model, run, seed=seed, batch=1, sizes=sizes).arrays


class _Search:
    def __init__(
        self,
        model: ir.Model,
        run: Run,
        seed: int,
        dimensions: list[SymbolicDimension],
        given: dict[str, tuple[int | None, ...]],
    ) -> None:
        self._model, self._run, self._seed = model, run, seed
        self._dimensions = dimensions
        self._given = given
        self._open = [dim for dim in dimensions if not _is_given(dim, given)]
        self._tried: list[dict[str, int]] = []
        self._deadline = time.monotonic() + MOST_SECONDS
        self._reason = ""

    def first(self, batch: int | None) -> MadeInputs:
        """The inputs of the first assignment that runs."""
        empty: MadeInputs | None = None
        for assignment in itertools.islice(self._assignments(batch), MOST_TRIES):
            if assignment in self._tried:
                continue
            if self._tried and time.monotonic() > self._deadline:
                break
            candidate = self._made(assignment, batch)
            outputs = self._outputs(candidate.arrays, assignment)
            if outputs is None:
                continue
            candidate = replace(candidate, outputs=outputs)
            if not any(_is_empty(output) for output in outputs.values()):
                return candidate
            empty = empty or candidate
        if empty is not None:
            return empty
        raise self._failure()

    def _made(self, assignment: Mapping[str, int], batch: int | None) -> MadeInputs:
        default = UNKNOWN_DIMENSION if batch is None else batch
        told = {
            dim.label: assignment[dim.label]
            for dim in self._open
            if assignment[dim.label] != (default if dim.is_batch else UNKNOWN_DIMENSION)
        }
        sizes = sizes_of(self._dimensions, told, self._given)
        arrays = random_inputs(self._model, seed=self._seed, batch=batch, sizes=sizes)
        invented = {dim.label: assignment[dim.label] for dim in self._open if not dim.is_batch}
        return MadeInputs(arrays, sizes, invented)

    def _outputs(
        self, arrays: dict[str, NDArray[Any]], assignment: Mapping[str, int]
    ) -> Mapping[str, Any] | None:
        """What the graph puts out; None where it does not run."""
        elements = sum(array.size for array in arrays.values())
        if self._tried and elements > MOST_ELEMENTS:
            return None
        if elements > _HARMLESS_ELEMENTS and self._tried and self._is_huge(arrays):
            return None
        self._tried.append(dict(assignment))
        try:
            return self._run(arrays, max(1.0, self._deadline - time.monotonic()))
        except LprcError as error:
            self._reason = error.message
            return None

    def _is_huge(self, arrays: dict[str, NDArray[Any]]) -> bool:
        """Whether the graph would make a value larger than a search may."""
        trial = self._model.clone()
        for value in trial.graph.inputs:
            if value.name in arrays:
                value.shape = ir.Shape(arrays[value.name].shape)
        try:
            inferred = shapes.infer(trial)
        except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
            return False
        return any(
            value.shape is not None
            and value.shape.is_static()
            and math.prod(value.shape.numpy()) > MOST_VALUE_ELEMENTS
            for value in inferred.values()
        )

    def _assignments(self, batch: int | None) -> Iterator[dict[str, int]]:
        """Sizes by label: one for all first, then one for each; small ones, then 1, then large.

        With sizes of 1 too much runs: they broadcast.
        """
        batches = list(dict.fromkeys((*(() if batch is None else (batch,)), *_BATCHES)))
        firsts = [dim for dim in self._open if dim.is_batch]
        free = [dim for dim in self._open if not dim.is_batch or len(firsts) > 1]
        sizes = self._candidates() if free else [UNKNOWN_DIMENSION]
        small = [size for size in sizes if 1 < size <= _SMALL]
        large = [size for size in sizes if size > _SMALL]
        yield from self._uniform(small, batches)
        yield from itertools.islice(self._products(free, small, batches), MOST_TRIES // 2)
        yield from self._uniform([1], batches)
        yield from self._uniform(large, batches)
        yield from self._products(free, sizes, batches)

    def _uniform(self, sizes: list[int], batches: list[int]) -> Iterator[dict[str, int]]:
        """One size for all dimensions but the batch."""
        for size in sizes:
            for first in batches:
                yield {dim.label: first if dim.is_batch else size for dim in self._open}

    def _products(
        self, several: list[SymbolicDimension], sizes: list[int], batches: list[int]
    ) -> Iterator[dict[str, int]]:
        """Each of several dimensions with a size of its own."""
        if len(several) < 2:
            return
        most = max(2, int(_MOST_COMBINATIONS ** (1 / len(several))))
        combinations = itertools.product(sizes[:most], repeat=len(several))
        rest = {dim.label: batches[0] for dim in self._open}
        for combination in sorted(combinations, key=_goodness):
            if len(set(combination)) > 1:
                own = {dim.label: size for dim, size in zip(several, combination, strict=True)}
                yield {**rest, **own}

    def _candidates(self) -> list[int]:
        """Sizes to try: the common ones, and those that the graph hints at."""
        stride = total_stride(self._model)
        multiples = [stride * factor for factor in (1, 2, 3, 4, 6, 8)] if stride > 1 else []
        hints = {size for size in multiples if size <= _LARGEST_HINT}
        return sorted({*COMMON_SIZES, *hints, *written_sizes(self._model)})

    def _failure(self) -> UnrunnableError:
        if not self._open:
            shapes_text = "" if not self._given else " at the sizes that were given"
            return UnrunnableError(f"{self._reason}{shapes_text}")
        shown = [size_texts(sizes) for sizes in self._tried]
        told = shown if len(shown) <= 3 else [*shown[:2], "…", shown[-1]]
        return UnrunnableError(f"{self._reason} (sizes tried: {'; '.join(told)})", hint=HOW_TO_GIVE)


def _goodness(sizes: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    """What to try first: what broadcasts least, and is small."""
    return sizes.count(1), math.prod(sizes), sizes


def _is_given(dimension: SymbolicDimension, given: InputSizes) -> bool:
    return any(
        axis < len(given.get(name, ())) and given[name][axis] is not None
        for name, axis in dimension.places
    )


def _is_empty(output: Any) -> bool:
    return isinstance(output, np.ndarray) and output.size == 0
