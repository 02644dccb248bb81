"""Artefacts that are to be measured: loaded, each with inputs that it has run on once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.compiler.measure.bench_inputs import (
    checked_run,
    common_interface,
    found_sizes,
    given_inputs,
    values,
)
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays
from lprc.core.running.runner import Runner
from lprc.core.running.size_search import MadeInputs

InputsOf = Callable[[Artifact, Runner], Arrays]
"""Gives an artefact inputs of its own: a sample of a task, for instance."""


@dataclass(frozen=True)
class InterfaceInputs:
    """Inputs, or sizes, that follow from what all artefacts take: told once they are loaded.

    Attributes:
        prepare: From the common interface and its place, for errors, to inputs (None for random
            ones) and sizes.
    """

    prepare: Callable[[ir.Model, str], tuple[Arrays | None, InputSizes]]


@dataclass(frozen=True)
class Contestants:
    """What is measured, in the caller's order.

    Attributes:
        opened: The artefacts.
        runners: They, loaded.
        fed: What each is run on.
        invented: Sizes of that which nobody gave, of other dimensions than a batch, by label.
    """

    opened: list[Artifact]
    runners: list[Runner]
    fed: list[Arrays]
    invented: Mapping[str, int]


def contestants(
    artefacts: Sequence[str | Path],
    *,
    batch: int = 1,
    inputs: Arrays | InputsOf | InterfaceInputs | None = None,
    sizes: InputSizes | None = None,
    threads: int | None = None,
    seed: int = 0,
) -> Contestants:
    """Load artefacts; arguments and errors as of `lprc.compiler.measure.bench.bench`."""
    opened = [open_artifact(name) for name in artefacts]
    runners = [artefact.runner(threads=threads) for artefact in opened]
    places = [str(artefact.path) for artefact in opened]
    if isinstance(inputs, InterfaceInputs):
        inputs, sizes = inputs.prepare(common_interface(opened, runners), places[0])
    invented: Mapping[str, int] = {}
    fed: list[Arrays]
    if callable(inputs):
        fed = [inputs(artefact, runner) for artefact, runner in zip(opened, runners, strict=True)]
    elif inputs is None:
        searched = _sizes(opened, runners, batch, seed, sizes or {})
        invented = searched.invented
        fed = [
            values(runner, searched.sizes, batch, seed, place)
            for runner, place in zip(runners, places, strict=True)
        ]
    else:
        fed = [
            given_inputs(runner, inputs, place)
            for runner, place in zip(runners, places, strict=True)
        ]
    for runner, arrays, place in zip(runners, fed, places, strict=True):
        checked_run(runner, arrays, place)
    return Contestants(opened, runners, fed, invented)


def _sizes(
    artefacts: Sequence[Artifact],
    runners: Sequence[Runner],
    batch: int,
    seed: int,
    sizes: InputSizes,
) -> MadeInputs:
    """The sizes to measure at; no graph is read where they are known."""
    open_inputs = [
        name for runner in runners for name, shape in runner.inputs.items() if None in shape[1:]
    ]
    if not open_inputs:
        return MadeInputs({}, sizes)
    return found_sizes(common_interface(artefacts, runners), runners, batch, seed, sizes)
