"""Weights as integers, arithmetic in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.annotations import grid_of
from lprc.core.graph.operators import LINEAR
from lprc.core.options import option
from lprc.core.passing.contract import lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State
from lprc.core.quantization.already import is_quantized
from lprc.core.quantization.placement import weight_index
from lprc.passes._rounding.weight_grid import (
    QuantizedWeight,
    channel_axis,
    dequantized,
    input_axis,
    quantized_weight,
)


@dataclass(frozen=True)
class QuantizeWeights(Pass):
    """Store weights as int8 or int4 behind DequantizeLinear; activations stay float.

    Weight-only quantisation: a file of a quarter or an eighth of the size, no calibration data,
    and no speed to expect from it on a CPU. ``adaround`` in front of it chooses the roundings;
    its bits and scales are kept. Without it each weight goes to the nearest integer of its scale.
    Int4 and blocks need opset 21.

    ONNX Runtime computes MatMuls of these on int8 activations unless a session's entry
    ``session.qdq_matmulnbits_accuracy_level`` is ``1``, as lprc sets it in its own.
    """

    name = "quantize-weights"
    contract = lossy("accuracy")
    leaves = (State.QUANTIZED,)
    bits: Literal[8, 4] = option(8, "bits of an integer")
    block: int = option(
        0, "weights along the inputs that share a scale, the last ones maybe fewer; 0: a channel's"
    )
    operators: tuple[str, ...] = option(
        tuple(sorted(LINEAR)), "operators whose weights to quantise"
    )
    min_elements: int = option(256, "leave smaller weights alone: their scales would outweigh them")

    quantized: Literal["refuse", "keep"] = option(
        "refuse", "whether a model that is quantised already is an error, or is left as it is"
    )

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A negative number.
        """
        if self.block < 0 or self.min_elements < 0:
            raise ValueError("block and min-elements must not be negative")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Quantise weights; see the class.

        Raises:
            UsageError: The opset has no DequantizeLinear of that kind.
            InvalidModelError: The model is quantised already.
        """
        if is_quantized(model, self.quantized, context):
            return
        opset = editing.opset_version(model)
        done: dict[tuple[ir.Value, int], tuple[ir.Value, QuantizedWeight]] = {}
        _check_opset(opset, self.bits, self.block)
        for graph in editing.graphs(model):
            for node in list(graph):
                if editing.is_op(node, *self.operators):
                    self._quantize(node, opset, done, context)

    def _quantize(
        self,
        node: ir.Node,
        opset: int,
        done: dict[tuple[ir.Value, int], tuple[ir.Value, QuantizedWeight]],
        context: PassContext,
    ) -> None:
        index = weight_index(node)
        value = None if index is None else node.inputs[index]
        array = editing.constant(value)
        if index is None or value is None or array is None:
            context.skip(node, "its weight is not constant")
            return
        if array.size < self.min_elements:
            context.skip(node, "its weight is small")
            return
        if value.graph is not node.graph:
            context.skip(node, "its weight belongs to an outer graph")
            return
        grid = grid_of(value)
        bits, block = (grid.bits, grid.block) if grid is not None else (self.bits, self.block)
        axis = (input_axis if block else channel_axis)(node, array, index)
        if grid is not None and grid.axis != axis:
            context.skip(node, "its recorded grid lies along another axis")
            return
        _check_opset(opset, bits, block)
        if (value, axis) not in done:
            weight = quantized_weight(value, axis, bits=bits, block=block)
            if isinstance(weight, str):
                context.skip(node, weight)
                return
            if not context.rewrite(node, f"{value.name}: {weight.describe()}"):
                return
            done[value, axis] = (dequantized(node, value, weight), weight)
        node.replace_input_with(index, done[value, axis][0])
        editing.remove_dead_initializer(value)


def _check_opset(opset: int, bits: int, block: int) -> None:
    needed = 21 if bits == 4 or block else 13
    if opset < needed:
        raise UsageError(
            f"opset {opset} has no such DequantizeLinear",
            where="pass 'quantize-weights'",
            hint=f"run convert-opset{{version={needed},minimum={needed}}} in front of it",
        )
