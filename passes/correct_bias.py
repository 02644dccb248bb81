"""Biases that make up for the mean error which rounding makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import grid_of
from lprc.core.graph.operators import LINEAR
from lprc.core.options import option
from lprc.core.passing.contract import lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.quantization.affine import Scheme, expand, quantize_weight, weight_scale
from lprc.core.running.numerics import Arrays
from lprc.core.running.observe import no_samples
from lprc.passes._fitting.bias import add_to_bias
from lprc.passes._fitting.channel_statistics import channel_statistics, output_mean
from lprc.passes._fitting.shadow import Shadow, observed
from lprc.passes._fitting.unfold import Unfolded, unfolded

Float = NDArray[np.float64]


@dataclass(frozen=True)
class CorrectBias(Pass):
    """Correct biases by the mean error that rounded weights and activations make.

    ``b += E[W x] - E[W' x']`` for each output channel of Conv, ConvTranspose, Gemm and MatMul; W'
    is W on its recorded grid, or rounded to nearest.

    ``method=empirical`` measures both means on unlabelled calibration data (Banner et al., "Post
    Training 4-bit Quantization of Convolutional Networks for Rapid-Deployment", NeurIPS 2019;
    Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
    2019, appendix D). ``method=analytic`` needs no data: E[x] comes from BatchNormalization, from
    weights and biases in front, and from the network input's recorded range, through clipped
    normals (Nagel et al., 4.2).

    Enters no subgraphs.
    """

    name = "correct-bias"
    contract = lossy("accuracy")
    reads_calibration = True
    leaves = (State.CORRECTED,)
    not_after = reasons(
        {
            State.QUANTIZED: "rounding can't be measured once weights are quantised",
            State.QDQ: "rounding can't be measured once weights are quantised",
        }
    )
    method: Literal["empirical", "analytic"] = option("empirical", "where means come from")
    prefix: Literal["float", "quantized"] = option(
        "float", "whether x' comes from rounded layers in front too: slower, layer by layer"
    )
    bits: Literal[8, 4] = option(8, "bits of weights that have no recorded grid")
    block: int = option(0, "weights that share a scale, where no grid is recorded; 0: a channel")
    scheme: Scheme | None = option(
        "symmetric", "how activations with a recorded range will be rounded; none: they will not"
    )

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A negative number.
        """
        if self.block < 0:
            raise ValueError("block must not be negative")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Correct biases; see the class.

        Raises:
            DataError: No calibration data, or activations that are NaN or infinite.
            RunError: The graph does not run, or does not take the data.
        """
        layers = _layers(model, context)
        if not layers:
            return
        if self.method == "analytic":
            errors = self._analytic(model, layers, context)
        elif not len(context.calibration):
            raise no_samples(self.name)
        elif self.prefix == "float":
            errors = self._side_by_side(model, layers, context.calibration)
        else:
            errors = self._one_by_one(model, layers, context.calibration)
        for layer in layers:
            error = errors.get(layer.node)
            if error is not None and error.any():
                if not context.rewrite(layer.node, f"bias moved by up to {abs(error).max():.2g}"):
                    return
                add_to_bias(layer.node, error)

    def _rounded(self, layer: Unfolded) -> NDArray[np.float32]:
        grid = grid_of(layer.weight)
        if grid is not None:
            bits, axis, block, scale = grid.bits, grid.axis, grid.block, grid.scale
        else:
            bits, block = self.bits, self.block
            axis = layer.in_axis if block else layer.out_axis
            scale = weight_scale(layer.array, axis, bits=bits, block=block)
        integers = quantize_weight(layer.array, scale, axis, bits=bits, block=block)
        wide = expand(scale, layer.array.shape, axis, block)
        return np.asarray(integers * wide, np.float32)

    def _side_by_side(
        self, model: ir.Model, layers: list[Unfolded], samples: Sequence[Arrays]
    ) -> dict[ir.Node, Float]:
        """Every layer beside its rounded self, on the float network's activations."""
        shadow = Shadow(model, (), self.scheme)
        pairs: dict[ir.Node, tuple[ir.Value, ir.Value]] = {}
        for layer in layers:
            exact = shadow.twin(layer.node).outputs[0]
            pairs[layer.node] = (exact, shadow.rounded_twin(layer.node, self._rounded(layer)))
        sums = {node: _Mean(node) for node in pairs}
        values = [value for pair in pairs.values() for value in pair]
        for arrays in observed(shadow.model, values, samples):
            for node, wanted, got in zip(pairs, arrays[::2], arrays[1::2], strict=True):
                sums[node].add(wanted - got)
        return {node: mean.value for node, mean in sums.items()}

    def _one_by_one(
        self, model: ir.Model, layers: list[Unfolded], samples: Sequence[Arrays]
    ) -> dict[ir.Node, Float]:
        """Each layer behind all that are in front of it, rounded and corrected already."""
        exact = Shadow(model, (), None)
        rounded = Shadow(model, [layer.node for layer in layers], self.scheme)
        for layer in layers:
            rounded.set_constant(layer.node, 1, self._rounded(layer))
        errors: dict[ir.Node, Float] = {}
        for layer in layers:
            node = layer.node
            mean = _Mean(node)
            for (wanted,), (got,) in zip(
                observed(exact.model, exact.twin(node).outputs[:1], samples),
                observed(rounded.model, rounded.twin(node).outputs[:1], samples),
                strict=True,
            ):
                mean.add(wanted - got)
            errors[node] = mean.value
            add_to_bias(rounded.twin(node), errors[node])
        return errors

    def _analytic(
        self, model: ir.Model, layers: list[Unfolded], context: PassContext
    ) -> dict[ir.Node, Float]:
        statistics = channel_statistics(model.graph)
        errors: dict[ir.Node, Float] = {}
        for layer in layers:
            input_statistics = statistics.get(layer.input)
            change = layer.array.astype(np.float64) - self._rounded(layer)
            error = (
                None
                if input_statistics is None
                else output_mean(layer, change, input_statistics.mean)
            )
            if error is None:
                context.skip(layer.node, "the mean of its input is not known")
            else:
                errors[layer.node] = error
        return errors


class _Mean:
    """The mean of an output of `node` for each channel, summed sample by sample."""

    def __init__(self, node: ir.Node) -> None:
        self._last = node.op_type == "MatMul"
        self._sum: Float = np.zeros(1)
        self._count = 0

    def add(self, output: NDArray[Any]) -> None:
        """Add one sample."""
        axis = output.ndim - 1 if self._last else 1
        others = tuple(each for each in range(output.ndim) if each != axis)
        self._sum = self._sum + output.sum(axis=others, dtype=np.float64)
        self._count += output.size // max(1, output.shape[axis])

    @property
    def value(self) -> Float:
        """float64 [output channels]."""
        return self._sum / max(1, self._count)


def _layers(model: ir.Model, context: PassContext) -> list[Unfolded]:
    for graph in editing.subgraphs(model.graph):
        for node in graph:
            if editing.is_op(node, *LINEAR):
                context.skip(node, "in a subgraph")
    layers = []
    for node in model.graph:
        layer = unfolded(node)
        if layer is None:
            continue
        reason = layer if isinstance(layer, str) else _why_not(node)
        if reason is not None:
            context.skip(node, reason)
        elif isinstance(layer, Unfolded):
            layers.append(layer)
    return layers


def _why_not(node: ir.Node) -> str | None:
    bias = editing.input_at(node, 2)
    if bias is not None and editing.constant(bias) is None:
        return "the bias is not constant"
    return None
