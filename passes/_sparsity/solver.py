"""A layer's sparse weight: which weights stay by a criterion, and how the others change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.weight_sparsity import Pattern
from lprc.passes._fitting.bias import bias_of
from lprc.passes._fitting.sparse_regression import Regression, chunks, pass_on, solve
from lprc.passes._fitting.unfold import Unfolded
from lprc.passes._sparsity import masks
from lprc.passes._sparsity.layers import groups_of
from lprc.passes._sparsity.positions import Positions
from lprc.passes._sparsity.refit import Fit, Seen

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Solver:
    """How a layer is made sparse.

    Attributes:
        pattern: N:M; None for zeros anywhere.
        ratio: The fraction of zeros in a layer without a pattern.
        criterion: Which weights go.
        repair: What makes up for them.
        relu: Whether errors count less where a Relu blocks them.
        sweeps: Of exchanges within groups at most.
        rounds: Times that a layer in front of a Relu is fitted.
        damping: How much weights are held to what they were.
    """

    pattern: Pattern | None
    ratio: float
    criterion: masks.Criterion
    repair: Literal["none", "bias", "weights"]
    relu: bool
    sweeps: int
    rounds: int
    damping: float

    def quick(self) -> Solver:
        """One that takes little time, to compare patterns with: it fits each layer once."""
        repair = "weights" if self.repair == "none" else self.repair
        return replace(self, criterion="wanda", repair=repair, relu=False, rounds=1)

    def masked(self, layer: Unfolded) -> NDArray[np.float32]:
        """The weight with zeros by magnitude; nothing makes up for them."""
        rows = layer.rows(layer.array)
        kept = self._by_score(layer, np.abs(rows).reshape(-1, layer.size).astype(np.float64))
        return layer.fold(np.where(kept.reshape(rows.shape), rows, np.float32(0)))

    def _by_score(self, layer: Unfolded, score: Float) -> Mask:
        if self.pattern is None:
            return masks.largest_of_all(score, self.ratio)
        return masks.largest(score, groups_of(layer, self.pattern.group), self.pattern)

    def solved(self, layer: Unfolded, positions: Positions) -> tuple[NDArray[np.float32], Float]:
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
        few = chunks(rows.shape) if relu and self.pattern else [slice(None)]
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
        if self.pattern is None:
            return masks.exact_of_all(problem, self.ratio)
        groups = groups_of(layer, self.pattern.group)
        return masks.exact(problem, groups, self.pattern, sweeps=self.sweeps)

    def _passed_on(self, layer: Unfolded, problem: Regression, kept: Mask | None) -> Float:
        if self.pattern is None:
            columns = np.arange(layer.size, dtype=np.int64)[:, None]
            if kept is None:
                score = problem.target**2 / np.diag(np.linalg.inv(problem.moment))
                kept = masks.largest_of_all(score, self.ratio)
            return pass_on(problem, columns, 1, kept)
        groups = groups_of(layer, self.pattern.group)
        return pass_on(problem, groups, self.pattern.kept, kept)


def _only_relu(node: ir.Node) -> bool:
    output = node.outputs[0]
    users = [use.node for use in output.uses()]
    return (
        bool(users)
        and not output.is_graph_output()
        and all(editing.is_op(user, "Relu") for user in users)
    )
