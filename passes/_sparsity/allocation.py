"""Which N:M pattern each layer gets: as many zeros as one pattern for all, where they cost least.

Sun et al., "DominoSearch: Find Layer-wise Fine-grained N:M Sparse Schemes from Dense Neural
Networks", NeurIPS 2021, search such schemes while they train. Here each layer alone is made sparse
in each pattern, and what that does to the network's outputs is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph.weight_sparsity import Pattern, why_not
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import Arrays, Session
from lprc.core.running.observe import spread
from lprc.passes._fitting.activations import Activations
from lprc.passes._fitting.bias import add_to_bias
from lprc.passes._fitting.shadow import Shadow
from lprc.passes._fitting.unfold import Unfolded
from lprc.passes._sparsity.positions import sampled
from lprc.passes._sparsity.solver import Solver

SAMPLES = 64
"""Samples that are enough to compare patterns on."""


@dataclass(frozen=True)
class Choice:
    """A pattern that a layer may have.

    Attributes:
        pattern: Which.
        kept: The number of weights that it leaves.
        error: What the layer alone does to the network's outputs in it: their squared error over
            their variance.
    """

    pattern: Pattern
    kept: int
    error: float


def allocate(choices: Sequence[Sequence[Choice]], budget: int) -> list[Choice]:
    """One choice for each layer, with little error in sum and at most `budget` weights.

    Each layer starts at its sparsest choice. Then the step is taken that gains most for each weight
    it brings back, as long as one gains and fits.

    Args:
        choices: Of each layer.
        budget: Weights at most; the sparsest choices of all layers have no more.
    """
    chosen = [min(of_layer, key=lambda choice: choice.kept) for of_layer in choices]
    room = budget - sum(choice.kept for choice in chosen)
    while True:
        steps = [
            ((now.error - other.error) / (other.kept - now.kept), layer, other)
            for layer, (now, of_layer) in enumerate(zip(chosen, choices, strict=True))
            for other in of_layer
            if 0 < other.kept - now.kept <= room and other.error < now.error
        ]
        if not steps:
            return chosen
        _, layer, better = max(steps, key=lambda step: step[0])
        room -= better.kept - chosen[layer].kept
        chosen[layer] = better


def patterns_by_layer(
    model: ir.Model,
    layers: Sequence[Unfolded],
    solvers: Mapping[Pattern, Solver],
    usual: Pattern,
    context: PassContext,
) -> dict[ir.Node, Pattern]:
    """A pattern for each layer; they leave no more weights than `usual` for all would.

    Args:
        model: The dense network.
        layers: Its layers that `usual` fits.
        solvers: How a layer is made sparse in each pattern that it may have, `usual` among them.
        usual: The pattern that says how many weights stay.
        context: With calibration data, of which a part is used.

    Raises:
        DataError: Activations that are NaN or infinite.
        RunError: The graph does not run, or does not take the data.
    """
    samples = list(spread(context.calibration, SAMPLES))
    choices = list(_choices(model, layers, solvers, samples, context))
    budget = sum(layer.array.size * usual.kept // usual.group for layer in layers)
    chosen = allocate(choices, budget)
    return {layer.node: choice.pattern for layer, choice in zip(layers, chosen, strict=True)}


def _choices(
    model: ir.Model,
    layers: Sequence[Unfolded],
    solvers: Mapping[Pattern, Solver],
    samples: Sequence[Arrays],
    context: PassContext,
) -> Iterator[list[Choice]]:
    dense = Shadow(model, (), None)
    seen, wanted = (Activations(dense.model, samples, check=False) for _ in range(2))
    outputs = _Outputs(dense.model, samples)
    for done, layer in enumerate(layers):
        context.progress(done, 2 * len(layers))
        twin = dense.twin(layer.node)
        positions = sampled(layer, seen.before(twin), wanted.behind(twin))
        choices = []
        for pattern, solver in solvers.items():
            inputs = layer.array.shape[layer.in_axis]
            if why_not(layer.node, inputs, pattern) is not None:
                continue
            weight, change = solver.solved(layer, positions)
            probe = Shadow(model, (), None)
            probe.set_constant(layer.node, 1, weight)
            if change.any():
                add_to_bias(probe.twin(layer.node), change)
            kept = layer.array.size * pattern.kept // pattern.group
            choices.append(Choice(pattern, kept, outputs.error(probe.model)))
        yield choices


class _Outputs:
    """What the dense network puts out, to compare others with."""

    def __init__(self, model: ir.Model, samples: Sequence[Arrays]) -> None:
        self._samples = samples
        self._wanted = self._of(model)

    def error(self, model: ir.Model) -> float:
        """The squared error of each output over its variance, a mean over the outputs."""
        errors = []
        for wanted, given in zip(self._wanted, self._of(model), strict=True):
            moved = sum(float(np.square(a - b).sum()) for a, b in zip(wanted, given, strict=True))
            mean = np.mean([array.mean() for array in wanted])
            spread_of = sum(float(np.square(array - mean).sum()) for array in wanted)
            errors.append(moved / max(spread_of, 1e-30))
        return float(np.mean(errors))

    def _of(self, model: ir.Model) -> list[list[np.ndarray]]:
        """Arrays by output and sample, float64; only outputs of floats."""
        session = Session(model)
        names = [
            str(value.name)
            for value in model.graph.outputs
            if value.dtype is not None and value.dtype.is_floating_point()
        ]
        runs = [session.run(sample) for sample in self._samples]
        return [[run[name].astype(np.float64) for run in runs] for name in names]
