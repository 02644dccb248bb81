"""Weights with zeros in a pattern, and the others made up for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.node_names import check_names
from lprc.core.graph.weight_sparsity import Pattern
from lprc.core.options import option
from lprc.core.passing.contract import lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.running.observe import no_samples
from lprc.passes._fitting.activations import Activations
from lprc.passes._fitting.bias import add_to_bias
from lprc.passes._fitting.shadow import Shadow
from lprc.passes._fitting.unfold import Unfolded
from lprc.passes._sparsity import masks
from lprc.passes._sparsity.allocation import patterns_by_layer
from lprc.passes._sparsity.distillation import Distillation, distil
from lprc.passes._sparsity.gradients import NoGradientError
from lprc.passes._sparsity.layers import LARGEST, Limits, sparse_layers
from lprc.passes._sparsity.permutation import permute
from lprc.passes._sparsity.positions import sampled
from lprc.passes._sparsity.solver import Solver

UNSTRUCTURED = "unstructured"


@dataclass(frozen=True)
class Sparsify(Pass):
    """Set weights to zero in an N:M pattern or anywhere, and let the others make up for it.

    A pattern such as 2:4 leaves two of each four neighbouring input channels, at each tap of the
    kernel, as sparse tensor cores want it (Mishra et al., 2021). Which ones: the largest
    (``magnitude``), the largest times the norm of what they meet (``wanda``, Sun et al., ICLR
    2024), or those that the others can best make up for (``sparsegpt``, Frantar and Alistarh, ICML
    2023; exactly as in Optimal Brain Compression, Frantar et al., NeurIPS 2022, where rows are
    short, with exchanges within groups behind it).

    ``repair=weights`` then solves for the remaining weights and the bias, layer by layer, on what
    the layers in front put out now, so that what the next Relu lets through is nearest to the
    dense network's; ``bias`` moves biases alone. No labels are used, and a bounded sample of
    positions is in memory. ``distill`` moves all weights of these layers and their biases together
    behind that, by the divergence of softmax over axis 1 of the outputs from the dense network's.

    With ``by-layer`` each layer may have one of several patterns: it is made sparse alone in each,
    and those are taken that move the outputs least and leave no more weights than ``pattern`` in
    all layers (see Sun et al., "DominoSearch", NeurIPS 2021).

    Enters no subgraphs.
    """

    name = "sparsify"
    contract = lossy("accuracy")
    leaves = (State.SPARSE, State.GROUPS)
    not_after = reasons(
        {
            State.RANGES: "the ranges were measured with the dense weights",
            State.GRID: "fitted weights would not lie on their grid",
            State.QUANTIZED: "its weights are quantised already",
            State.QDQ: "its weights are quantised already",
        }
    )
    reads_calibration = True
    pattern: str = option("2:4", "N:M along the input channels, or unstructured")
    ratio: float = option(0.5, "the fraction of zeros in a layer, where unstructured")
    criterion: Literal["magnitude", "wanda", "sparsegpt"] = option(
        "sparsegpt", "which weights go: small ones, unimportant ones, those that can be made up for"
    )
    by_layer: tuple[str, ...] = option(
        (), "patterns that a layer may have instead, as many zeros altogether: needs data"
    )
    permute: bool = option(False, "permute input channels first so that more magnitude stays")
    repair: Literal["none", "bias", "weights"] = option(
        "weights", "what makes up for them; none: needs no calibration data with magnitude"
    )
    relu: bool = option(True, "count errors less where a Relu blocks them")
    sweeps: int = option(10, "of exchanges within groups at most, for sparsegpt")
    rounds: int = option(2, "times that a layer in front of a Relu is fitted")
    damping: float = option(0.003, "how much weights are held to what they were")
    distill: int = option(0, "steps of Adam on all layers together, towards the dense outputs")
    rate: float = option(1e-3, "Adam's step size at the start")
    min_elements: int = option(0, "leave smaller weights alone")
    exclude: tuple[str, ...] = option((), "nodes to leave alone, by name or source name")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A number out of its range, or a pattern that is none.
        """
        if self._pattern is None and not 0 < self.ratio < 1:
            raise ValueError("ratio must lie between 0 and 1")
        for text in self.by_layer:
            Pattern.parse(text)
        if self.by_layer and self._pattern is None:
            raise ValueError("by-layer needs a pattern, not unstructured")
        if (
            min(self.sweeps, self.min_elements, self.distill) < 0
            or self.rounds < 1
            or min(self.damping, self.rate) <= 0
        ):
            raise ValueError(
                "numbers must not be negative, rounds at least 1, damping and rate above 0"
            )

    @property
    def _pattern(self) -> Pattern | None:
        return None if self.pattern == UNSTRUCTURED else Pattern.parse(self.pattern)

    @property
    def _needs_data(self) -> bool:
        return (
            self.criterion != "magnitude"
            or self.repair != "none"
            or self.distill > 0
            or bool(self.by_layer)
        )

    def states(self) -> tuple[State, ...]:
        """Groups only where the pattern has some."""
        return (State.SPARSE,) if self.pattern == UNSTRUCTURED else self.leaves

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Set weights to zero; see the class.

        Raises:
            DataError: No calibration data, or activations that are NaN or infinite.
            RunError: The graph does not run, or does not take the data.
            UsageError: `exclude` names no node.
        """
        check_names(model.graph, self.exclude, "sparsify{exclude}")
        longest = LARGEST if self._needs_data else None
        limits = Limits(self._pattern, self.exclude, self.min_elements, longest)
        layers = sparse_layers(model, limits, context)
        if not layers:
            return
        if self._needs_data and not len(context.calibration):
            raise no_samples(self.name)
        layers, patterns = self._arranged(model, limits, layers, context)
        dense = Shadow(model, (), None)
        sparse = Shadow(model, (), None)
        exact = Activations(dense.model, context.calibration, check=False)
        seen = Activations(sparse.model, context.calibration, check=False)
        for done, layer in enumerate(layers):
            context.progress(done, len(layers))
            solver = self._solver(patterns.get(layer.node))
            if not context.rewrite(layer.node, _note(layer, solver)):
                return
            weight, change = solver.masked(layer), None
            if self._needs_data:
                outputs_wanted = exact.behind(dense.twin(layer.node))
                positions = sampled(layer, seen.before(sparse.twin(layer.node)), outputs_wanted)
                weight, change = solver.solved(layer, positions)
            for target in (sparse.twin(layer.node), layer.node):
                _set_constant(target, 1, weight)
                if change is not None and change.any():
                    add_to_bias(target, change)
        if self.distill:
            self._distil(model, layers, dense, context)

    def _arranged(
        self, model: ir.Model, limits: Limits, layers: list[Unfolded], context: PassContext
    ) -> tuple[list[Unfolded], dict[ir.Node, Pattern]]:
        """The layers behind permutations, and the pattern of each where there is one."""
        usual = self._pattern
        if usual is None:
            return layers, {}
        patterns = {layer.node: usual for layer in layers}
        if self.permute:
            permute(model, layers, patterns, context)
            layers = sparse_layers(model, limits, PassContext())
        if self.by_layer:
            allowed = dict.fromkeys([usual, *(Pattern.parse(text) for text in self.by_layer)])
            solvers = {pattern: self._solver(pattern).quick() for pattern in allowed}
            patterns = patterns_by_layer(model, layers, solvers, usual, context)
            others = [layer for layer in layers if patterns[layer.node] != usual]
            if self.permute and others:
                permute(model, others, patterns, context)
                layers = sparse_layers(model, limits, PassContext())
        return layers, patterns

    def _solver(self, pattern: Pattern | None) -> Solver:
        return Solver(
            pattern=pattern,
            ratio=self.ratio,
            criterion=self.criterion,
            repair=self.repair,
            relu=self.relu,
            sweeps=self.sweeps,
            rounds=self.rounds,
            damping=self.damping,
        )

    def _distil(
        self, model: ir.Model, layers: list[Unfolded], dense: Shadow, context: PassContext
    ) -> None:
        """Move the weights and biases of all sparse layers together."""
        # A MatMul that got a bias is another node now.
        nodes = [layer.node for layer in layers if layer.node.graph is model.graph]
        values = [value for node in nodes for value in node.inputs[1:] if value is not None]
        names = [
            str(value.name)
            for value in values
            if value.is_initializer()
            and value.dtype == ir.DataType.FLOAT
            and editing.is_private(value)
        ]
        settings = Distillation(self.distill, self.rate, progress=context.progress)
        try:
            distilled = distil(model, dense.model, names, context.calibration, settings)
        except NoGradientError as error:
            context.skip(None, f"not distilled: {error}")
            return
        for node in nodes:
            for index, value in enumerate(node.inputs[1:], 1):
                if value is not None and str(value.name) in distilled:
                    _set_constant(node, index, distilled[str(value.name)])


def _note(layer: Unfolded, solver: Solver) -> str:
    text = str(solver.pattern) if solver.pattern else f"{solver.ratio:.0%} zeros"
    method: str = solver.criterion
    if method == "sparsegpt" and masks.is_exact(layer.order.shape[1], layer.size):
        method = "optimal brain compression"
    return f"{layer.weight.name}: {text} by {method}"


def _set_constant(node: ir.Node, index: int, array: NDArray[Any]) -> None:
    graph, old = node.graph, node.inputs[index]
    assert isinstance(graph, ir.Graph)
    assert old is not None
    new = editing.add_initializer(graph, str(old.name), array.astype(np.float32))
    producer = old.producer()
    node.replace_input_with(index, new)
    editing.remove_dead([producer])
    editing.remove_dead_initializer(old)
    editing.inherit_name(new, old)
