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
from lprc.passes._fitting.bias import add_to_bias, bias_of
from lprc.passes._fitting.shadow import Shadow
from lprc.passes._fitting.sparse_regression import Regression, chunks, pass_on, solve
from lprc.passes._fitting.unfold import Unfolded
from lprc.passes._sparsity import masks
from lprc.passes._sparsity.distillation import Distillation, distil
from lprc.passes._sparsity.gradients import NoGradientError
from lprc.passes._sparsity.layers import LARGEST, Limits, groups_of, sparse_layers
from lprc.passes._sparsity.permutation import permute
from lprc.passes._sparsity.positions import Positions, sampled
from lprc.passes._sparsity.refit import Fit, Seen

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

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
        return self.criterion != "magnitude" or self.repair != "none" or self.distill > 0

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
        if self.permute and limits.pattern is not None:
            permute(model, layers, limits.pattern, context)
            layers = sparse_layers(model, limits, PassContext())
        dense = Shadow(model, (), None)
        sparse = Shadow(model, (), None)
        exact = Activations(dense.model, context.calibration, check=False)
        seen = Activations(sparse.model, context.calibration, check=False)
        for done, layer in enumerate(layers):
            context.progress(done, len(layers))
            if not context.rewrite(layer.node, self._note(layer)):
                return
            weight, change = self._masked(layer), None
            if self._needs_data:
                outputs_wanted = exact.behind(dense.twin(layer.node))
                positions = sampled(layer, seen.before(sparse.twin(layer.node)), outputs_wanted)
                weight, change = self._solved(layer, positions)
            for target in (sparse.twin(layer.node), layer.node):
                _set_constant(target, 1, weight)
                if change is not None and change.any():
                    add_to_bias(target, change)
        if self.distill:
            self._distil(model, layers, dense, context)

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

    def _note(self, layer: Unfolded) -> str:
        text = self.pattern if self._pattern else f"{self.ratio:.0%} zeros"
        method: str = self.criterion
        if method == "sparsegpt" and masks.is_exact(layer.order.shape[1], layer.size):
            method = "optimal brain compression"
        return f"{layer.weight.name}: {text} by {method}"

    def _masked(self, layer: Unfolded) -> NDArray[np.float32]:
        rows = layer.rows(layer.array)
        kept = self._by_score(layer, np.abs(rows).reshape(-1, layer.size).astype(np.float64))
        return layer.fold(np.where(kept.reshape(rows.shape), rows, np.float32(0)))

    def _by_score(self, layer: Unfolded, score: Float) -> Mask:
        if self._pattern is None:
            return masks.largest_of_all(score, self.ratio)
        return masks.largest(score, groups_of(layer, self._pattern.group), self._pattern)

    def _solved(self, layer: Unfolded, positions: Positions) -> tuple[NDArray[np.float32], Float]:
        """The sparse weight, and by how much the bias changes."""
        seen, wanted = positions.seen, positions.wanted
        rows = layer.rows(layer.array).astype(np.float64)
        bias = bias_of(layer.node, rows.shape[0] * rows.shape[1])
        assert bias is not None
        alpha = float(editing.attribute(layer.node, "alpha", 1.0))
        biases = bias.reshape(rows.shape[:2])
        weights, changes = np.zeros_like(rows), np.zeros_like(biases)
        for group, row in enumerate(rows):
            if self.repair != "none":
                # The bias makes up for an input that never changes: its weight is free to go.
                row = np.where(np.ptp(seen[group], axis=0) > 0, row, 0.0)
            fitted = self._fitted(layer, Seen(seen[group] * np.float32(alpha)), wanted[group], row)
            weights[group], new = fitted
            changes[group] = new - biases[group] if self.repair != "none" else 0.0
        return layer.fold(weights.astype(np.float32)), changes.reshape(-1)

    def _fitted(
        self, layer: Unfolded, seen: Seen, wanted: NDArray[np.float32], rows: Float
    ) -> tuple[Float, Float]:
        """The sparse rows of one group and their biases."""
        exact = masks.is_exact(*rows.shape)
        relu = exact and self.relu and self.repair == "weights" and _only_relu(layer.node)
        # Rows have a problem each, and few at a time stay in a cache; but which zeros are cheapest
        # of all, and what one factorisation serves, is for all of them.
        few = chunks(rows.shape) if relu and self._pattern else [slice(None)]
        parts = [
            self._fit(
                layer,
                Fit(seen, wanted[part], rows[part], relu=relu, damping=self.damping),
                exact=exact,
            )
            for part in few
        ]
        return np.concatenate([part[0] for part in parts]), np.concatenate([p[1] for p in parts])

    def _fit(self, layer: Unfolded, fit: Fit, *, exact: bool) -> tuple[Float, Float]:
        """The sparse rows and their biases."""
        solvable = fit.problem()
        kept, weight = None, fit.weight
        if self.criterion == "sparsegpt":
            if exact:
                kept = self._exact(layer, solvable.regression)
        else:
            norm = np.sqrt(np.diag(fit.seen.moment)[:-1] / fit.seen.moment[-1, -1])
            factor = norm if self.criterion == "wanda" else np.ones(layer.size)
            kept = self._by_score(layer, np.abs(fit.weight) * factor)
        if self.repair != "weights" and kept is not None:
            weight = np.where(kept, weight, 0.0)
            return weight, solvable.bias(weight)
        if not exact or kept is None:
            weight = self._passed_on(layer, solvable.regression, kept)
            return weight, solvable.bias(weight)
        weight = solve(solvable.regression, kept)
        bias = solvable.bias(weight)
        for _ in range(self.rounds - 1 if fit.relu else 0):
            solvable = fit.problem(fit.outputs(weight, bias))
            weight = solve(solvable.regression, kept)
            bias = solvable.bias(weight)
        return weight, bias

    def _exact(self, layer: Unfolded, problem: Regression) -> Mask:
        if self._pattern is None:
            return masks.exact_of_all(problem, self.ratio)
        groups = groups_of(layer, self._pattern.group)
        return masks.exact(problem, groups, self._pattern, sweeps=self.sweeps)

    def _passed_on(self, layer: Unfolded, problem: Regression, kept: Mask | None) -> Float:
        if self._pattern is None:
            columns = np.arange(layer.size, dtype=np.int64)[:, None]
            if kept is None:
                score = problem.target**2 / np.diag(np.linalg.inv(problem.moment))
                kept = masks.largest_of_all(score, self.ratio)
            return pass_on(problem, columns, 1, kept)
        groups = groups_of(layer, self._pattern.group)
        return pass_on(problem, groups, self._pattern.kept, kept)


def _only_relu(node: ir.Node) -> bool:
    output = node.outputs[0]
    users = [use.node for use in output.uses()]
    return (
        bool(users)
        and not output.is_graph_output()
        and all(editing.is_op(user, "Relu") for user in users)
    )


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
