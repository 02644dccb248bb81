"""Weights rounded so that each layer's output moves least on calibration data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import Grid, grid_of, set_grid
from lprc.core.graph.node_names import check_names
from lprc.core.graph.operators import LINEAR
from lprc.core.graph.provenance import origins
from lprc.core.options import option
from lprc.core.passing.contract import lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.quantization.affine import Scheme, expand, floored, weight_scale
from lprc.core.running.observe import no_samples
from lprc.passes._fitting.moments import Moments
from lprc.passes._fitting.shadow import Shadow, observed
from lprc.passes._fitting.sparse_regression import EXACT_STEPS, Regression, solve
from lprc.passes._fitting.unfold import Unfolded, unfolded
from lprc.passes._rounding import reconstruction
from lprc.passes._rounding.reconstruction import Factor, Float, Problem

LARGEST = 4096
"""The longest rows that are reconstructed: their second moment has 128 MiB."""

CLIPS = (1.0, 0.9, 0.8, 0.7)
"""The scales that ``scale=mse`` tries, as fractions of those that cover every weight."""


@dataclass(frozen=True)
class AdaRound(Pass):
    """Round weights to integers jointly, so that each layer's output moves least.

    Minimises ``E|W x - W' x'|^2`` over the integers of ``W'`` for one Conv, ConvTranspose, Gemm or
    MatMul after the other on unlabelled calibration data, of which only second moments are kept;
    `x'` is what the layer sees behind layers that are rounded already.

    ``method=adaround`` is Nagel et al., "Up or Down? Adaptive Rounding for Post-Training
    Quantization", ICML 2020; ``method=gptq`` Frantar et al., "GPTQ", ICLR 2023. Both are refined
    by coordinate descent, and no row is left worse than rounded to nearest. Weights that are zero
    stay zero. Weights stay float32 on a recorded grid, whose integers ``insert-qdq`` and
    ``quantize-weights`` reproduce.

    Enters no subgraphs.
    """

    name = "adaround"
    contract = lossy("accuracy")
    reads_calibration = True
    leaves = (State.GRID,)
    not_after = reasons(
        {
            State.QUANTIZED: "its weights are quantised already",
            State.QDQ: "its weights are quantised already",
        }
    )
    bits: Literal[8, 4] = option(8, "bits of an integer")
    block: int = option(0, "weights that share a scale, along the inputs; 0: a scale a channel")
    method: Literal["adaround", "gptq"] = option("adaround", "how integers are found")
    scale: Literal["max", "mse"] = option(
        "max", "whether scales cover every weight, or clip where that leaves less error"
    )
    iterations: int = option(500, "steps of Adam, for adaround")
    refine: int = option(10, "sweeps of coordinate descent at most")
    asymmetric: bool = option(True, "reconstruct from what rounded layers in front put out")
    scheme: Scheme | None = option(
        "symmetric", "how activations with a recorded range will be rounded; none: they will not"
    )
    min_elements: int = option(0, "leave smaller weights alone")
    exclude: tuple[str, ...] = option((), "nodes to leave alone, by name or source name")
    seed: int = option(0, "of the noise that breaks ties, for adaround")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A negative number.
        """
        if min(self.block, self.refine, self.min_elements, self.seed) < 0 or self.iterations < 1:
            raise ValueError("numbers must not be negative, and iterations at least 1")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Round weights; see the class.

        Raises:
            DataError: No calibration data, or activations that are NaN or infinite.
            RunError: The graph does not run, or does not take the data.
            UsageError: `exclude` names no node.
        """
        check_names(model.graph, self.exclude, "adaround{exclude}")
        jobs = list(self._jobs(model, context))
        if not jobs:
            return
        if not len(context.calibration):
            raise no_samples(self.name)
        users = [layer.node for job in jobs for layer in job]
        shadow = Shadow(model, users if self.asymmetric else (), self.scheme)
        float_model = Shadow(model, (), None) if self.asymmetric else None
        for done, job in enumerate(jobs):
            context.progress(done, len(jobs))
            first = job[0]
            note = f"{first.weight.name}: int{self.bits} by {self.method}"
            if not context.rewrite(first.node, note):
                return
            moments = _moments(job, shadow, float_model, context)
            grid, weight, fell_back = self._solve(first, moments)
            if fell_back:
                context.skip(first.node, "rounding to nearest is better for some rows")
            for layer in job:
                shadow.set_constant(layer.node, 1, weight)
            _store(job, weight, grid)

    def _jobs(self, model: ir.Model, context: PassContext) -> Iterator[list[Unfolded]]:
        """Each weight to round, with all layers that read it."""
        for graph in editing.subgraphs(model.graph):
            for node in graph:
                if editing.is_op(node, *LINEAR):
                    context.skip(node, "in a subgraph")
        layers: dict[ir.Value, list[Unfolded]] = {}
        for node in model.graph:
            layer = unfolded(node)
            if isinstance(layer, str):
                context.skip(node, layer)
            elif layer is not None:
                layers.setdefault(layer.weight, []).append(layer)
        for value, job in layers.items():
            reason = self._why_not(value, job)
            if reason is None:
                yield job
            else:
                for layer in job:
                    context.skip(layer.node, reason)

    def _why_not(self, value: ir.Value, job: list[Unfolded]) -> str | None:
        first = job[0]
        if grid_of(value) is not None:
            return "the weight is on a grid already"
        if len(value.uses()) != len(job) or value.is_graph_output():
            return "the weight has other uses"
        if any(not np.array_equal(layer.order, first.order) for layer in job):
            return "the weight is shared by layers that read it differently"
        if any({layer.node.name, *origins(layer.node)} & set(self.exclude) for layer in job):
            return "excluded"
        if first.array.size < self.min_elements:
            return "the weight is small"
        if first.size > LARGEST:
            return f"its rows are too long for a second moment (more than {LARGEST})"
        return None

    def _solve(self, layer: Unfolded, moments: Moments) -> tuple[Grid, NDArray[np.float32], bool]:
        """The grid, the weight on it, and whether some rows were better rounded to nearest."""
        axis = layer.in_axis if self.block else layer.out_axis
        covering = weight_scale(layer.array, axis, bits=self.bits, block=self.block)
        weight = layer.rows(layer.array).astype(np.float64)
        second, cross = moments.second, moments.cross
        target = weight
        if cross is not None:
            target = reconstruction.corrected_target(weight, second, cross)
        kept = None if weight.all() else weight != 0
        if kept is not None and cross is not None:
            target = _within(target, second, kept)
        factors = reconstruction.gptq_factors(second) if self.method == "gptq" else []
        best = _Best(layer)
        for clip in CLIPS if self.scale == "mse" else CLIPS[:1]:
            scale = floored(covering * clip)
            steps = layer.rows(expand(scale, layer.array.shape, axis, self.block))
            problem = Problem(target, steps, second, 2 ** (self.bits - 1) - 1, kept)
            integers = self._integers(problem, factors)
            best.offer(scale, integers, problem, fallback=False)
            if clip == 1.0:
                best.offer(scale, problem.nearest(weight), problem, fallback=True)
        grid = Grid(self.bits, axis, self.block, best.scale)
        wide = expand(best.scale, layer.array.shape, axis, self.block)
        return grid, (layer.fold(best.integers) * wide).astype(np.float32), best.fell_back

    def _integers(self, problem: Problem, factors: list[Factor]) -> Float:
        if self.method == "gptq":
            found = reconstruction.gptq(problem, factors)
        else:
            found = reconstruction.adaround(problem, iterations=self.iterations, seed=self.seed)
        return reconstruction.descend(problem, found, sweeps=self.refine)


def _within(target: Float, second: Float, kept: NDArray[np.bool_]) -> Float:
    """The target that has zeros where the weight has: the same problem for what has them too."""
    groups, rows, size = target.shape
    if groups * rows * float(size) ** 3 > EXACT_STEPS:
        return target
    targets = []
    for wanted, moment, mask in zip(target, second, kept, strict=True):
        ridge = 1e-6 * max(float(np.trace(moment)) / size, 1e-30)
        problem = Regression.towards(wanted, moment + ridge * np.eye(size))
        targets.append(solve(problem, mask))
    return np.stack(targets)


class _Best:
    """For each output channel the scale and the integers with the least error so far.

    Attributes:
        scale: In the weight's grid.
        integers: [groups, rows, size].
    """

    def __init__(self, layer: Unfolded) -> None:
        self._layer = layer
        self._fallback = np.zeros(0, bool)
        self._error: Float | None = None
        self.scale: NDArray[np.float32]
        self.integers: Float

    @property
    def fell_back(self) -> bool:
        """Whether rounding to nearest was better for some channel."""
        return bool(self._fallback.any())

    def offer(
        self, scale: NDArray[np.float32], integers: Float, problem: Problem, *, fallback: bool
    ) -> None:
        """Take those channels whose error is smaller."""
        error = problem.error(integers)
        # The groups of a ConvTranspose share their scales, so they choose together.
        together = self._layer.node.op_type == "ConvTranspose"
        error = error.sum(axis=0, keepdims=True) if together else error
        if self._error is None:
            self._error, self.scale, self.integers = error, scale, integers
            self._fallback = np.full(error.shape, fallback)
            return
        taken = error < self._error
        self._error = np.where(taken, error, self._error)
        self._fallback = np.where(taken, fallback, self._fallback)
        rows = np.broadcast_to(taken, integers.shape[:2])
        self.integers = np.where(rows[..., None], integers, self.integers)
        shape = [1] * scale.ndim
        shape[self._layer.out_axis if scale.ndim > 1 else 0] = taken.size
        self.scale = np.where(taken.reshape(shape), scale, self.scale)


def _moments(
    job: list[Unfolded], shadow: Shadow, exact: Shadow | None, context: PassContext
) -> Moments:
    """The moments of all layers that read one weight together."""
    total = Moments(job[0], cross=exact is not None)
    seen = observed(shadow.model, shadow.inputs(job), context.calibration)
    if exact is None:
        for sample in seen:
            for layer, array in zip(job, sample, strict=True):
                total.add(layer, array)
        return total
    wanted = observed(exact.model, exact.inputs(job), context.calibration)
    for sample, target in zip(seen, wanted, strict=True):
        for layer, array, goal in zip(job, sample, target, strict=True):
            total.add(layer, array, goal)
    return total


def _store(job: list[Unfolded], weight: NDArray[Any], grid: Grid) -> None:
    old = job[0].weight
    graph = job[0].node.graph
    assert isinstance(graph, ir.Graph)
    new = editing.add_initializer(graph, str(old.name), weight)
    set_grid(new, grid)
    producer = old.producer()
    for layer in job:
        layer.node.replace_input_with(1, new)
    editing.remove_dead([producer])
    editing.remove_dead_initializer(old)
