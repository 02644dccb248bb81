"""Weights that make up for the channels that were removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.passing.reference import Reference, reference
from lprc.core.running.observe import no_samples
from lprc.passes._fitting.activations import Activations
from lprc.passes._fitting.bias import add_to_bias, bias_of
from lprc.passes._fitting.regression import Normal
from lprc.passes._fitting.unfold import Unfolded, unfolded
from lprc.passes._pruning.edits import set_input

Float = NDArray[np.float64]
Array = NDArray[Any]

_PROBES = 4
"""Samples, the first ones, that show whether a layer has any error to speak of."""

_NOTHING = 1e-9
"""The relative squared error below which a layer is right as it is: float32's rounding is 1e-13."""


@dataclass(frozen=True)
class Reconstruct(Pass):
    """Fit the weights and biases that pruning left to what the layers put out before it.

    Layer by layer from the front, least squares on unlabelled calibration data: ``min E|y - W' x'
    - b'|^2 + ridge |W' - W|^2``, where y is what the layer put out before `prune-channels` and x'
    is what it reads now, behind the layers that are mended already (He, Zhang and Sun, "Channel
    Pruning for Accelerating Very Deep Neural Networks", ICCV 2017; Luo, Wu and Lin, "ThiNet", ICCV
    2017). Memory holds the normal equations of one layer, whatever the number of samples.

    Runs in the same pipeline as `prune-channels`, behind it, and before Q/DQ. Enters no subgraphs.
    """

    name = "reconstruct"
    contract = lossy("accuracy")
    reads_calibration = True
    not_after = reasons(
        {
            State.SPARSE: "fitting all weights would fill the zeros again",
            State.RANGES: "the ranges were measured with the weights from before",
            State.GRID: "fitted weights would not lie on their grid",
            State.QUANTIZED: "its weights are quantised already",
            State.QDQ: "its activations are quantised already",
        }
    )
    ridge: float = option(1e-3, "how much weights are held, as a fraction of the inputs' variance")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A ridge that is not positive.
        """
        if not self.ridge > 0:
            raise ValueError(f"ridge must be positive, not {self.ridge:g}")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Fit weights; see the class.

        Raises:
            DataError: No calibration data, or activations that are NaN or infinite.
        """
        before = reference(model)
        if before is None:
            context.skip(None, "no channel was removed before it in this pipeline")
            return
        if not len(context.calibration):
            raise no_samples(self.name)
        exact = Activations(before.model, context.calibration)
        seen = Activations(model, context.calibration)
        layers = _layers(model, before, context)
        for done, (layer, wanted) in enumerate(layers):
            context.progress(done, len(layers))
            targets = exact.behind(wanted)
            kept = before.kept.get(str(layer.node.outputs[0].name))
            if kept is not None:
                axis = -1 if layer.node.op_type == "MatMul" else 1
                targets = (np.take(target, kept, axis=axis) for target in targets)
            self._fit(layer, zip(seen.before(layer.node), targets, strict=True), context)

    def _fit(
        self, layer: Unfolded, samples: Iterable[tuple[Array, Array]], context: PassContext
    ) -> None:
        """Fit one layer to the outputs that are wanted of it for what it sees, sample by sample."""
        normal = Normal(layer)
        old = _augmented(layer)
        right = False
        for number, sample in enumerate(samples):
            if number == _PROBES:
                right = relative_error(normal, old) < _NOTHING
            if not right:
                normal.add(*sample)
        if right:
            return
        new = solve(normal, old, self.ridge)
        first, last = relative_error(normal, old), relative_error(normal, new)
        if not last < first * (1 - 1e-6):
            return
        note = f"error of its outputs {first:.2g} to {last:.2g}"
        if context.rewrite(layer.node, note):
            _store(layer, new, old)


def solve(normal: Normal, old: Float, ridge: float) -> Float:
    """The weights [groups, rows, size + 1] with the least squared error, held to `old` by `ridge`.

    The bias, which stands last, is not held.
    """
    second, cross = normal.second, normal.cross
    size = second.shape[1] - 1
    variance = np.einsum("gkk->g", normal.covariance) / max(1, size)
    # Inputs that never vary have nothing to be fitted to, and make the equations singular.
    power = np.einsum("gkk->g", second[:, :size, :size]) / max(1, size)
    hold = ridge * variance + 1e-12 * np.where(power > 0, power, 1.0)
    matrix = second.copy()
    np.einsum("gkk->gk", matrix)[:, :size] += hold[:, None]
    moved = cross - second @ old.swapaxes(1, 2)
    return np.asarray(old + np.linalg.solve(matrix, moved).swapaxes(1, 2))


def relative_error(normal: Normal, weights: Float) -> float:
    """``E|y - W x|^2`` over ``E|y|^2``."""
    second, cross = normal.second, normal.cross
    explained = float(((weights @ second) * weights).sum())
    error = normal.energy.sum() - 2 * float((weights * cross.swapaxes(1, 2)).sum()) + explained
    return float(max(error, 0.0) / max(float(normal.energy.sum()), 1e-30))


def _augmented(layer: Unfolded) -> Float:
    """Weights with the bias behind them: float64 [groups, rows, size + 1]."""
    rows = layer.rows(layer.array).astype(np.float64)
    channels = rows.shape[0] * rows.shape[1]
    # What an Add puts behind a MatMul comes after its output.
    bias = np.zeros(channels) if layer.node.op_type == "MatMul" else bias_of(layer.node, channels)
    assert bias is not None
    return np.concatenate([rows * _alpha(layer), bias.reshape(*rows.shape[:2], 1)], axis=2)


def _alpha(layer: Unfolded) -> float:
    return float(editing.attribute(layer.node, "alpha", 1.0)) if layer.node.op_type == "Gemm" else 1


def _store(layer: Unfolded, weights: Float, old: Float) -> None:
    folded = layer.fold(weights[:, :, :-1] / _alpha(layer))
    set_input(layer.node, 1, folded.astype(np.float32))
    add_to_bias(layer.node, (weights - old)[:, :, -1].reshape(-1))


def _layers(
    model: ir.Model, before: Reference, context: PassContext
) -> list[tuple[Unfolded, ir.Node]]:
    """The layers behind the first that lost channels, and what they were before."""
    nodes = {str(node.outputs[0].name): node for node in before.model.graph if node.outputs}
    layers = []
    for node in model.graph:
        layer = unfolded(node)
        if layer is None:
            continue
        wanted = nodes.get(str(node.outputs[0].name))
        reason = layer if isinstance(layer, str) else _why_not(node, layer, wanted)
        if reason is not None:
            context.skip(node, reason)
        elif isinstance(layer, Unfolded) and wanted is not None:
            layers.append((layer, wanted))
    return layers


def _why_not(node: ir.Node, layer: Unfolded, wanted: ir.Node | None) -> str | None:
    if wanted is None:
        return "it was not there before channels were removed"
    if len(layer.weight.uses()) > 1:
        return "the weight is shared"
    if layer.node.op_type == "Gemm" and not _alpha(layer):
        return "alpha is 0"
    if node.op_type != "MatMul" and bias_of(node, layer.order[:, :, 0].size) is None:
        return "the bias is not one constant a channel"
    return None
