"""QuantizeLinear and DequantizeLinear pairs where a target wants them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.graph.node_names import check_names
from lprc.core.graph.operators import ACTIVATIONS, LINEAR
from lprc.core.options import option
from lprc.core.passing.contract import lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State
from lprc.core.quantization.affine import QuantParams, Scheme, activation_params
from lprc.core.quantization.already import is_quantized
from lprc.core.quantization.byte_images import byte_image
from lprc.core.quantization.placement import Plan, plan, weight_index
from lprc.core.quantization.placement_rules import CARRIERS, Residual, Rules
from lprc.passes._rounding.weight_grid import (
    QuantizedWeight,
    channel_axis,
    dequantized,
    quantized_bias,
    quantized_dequantized,
    quantized_weight,
)


@dataclass(frozen=True)
class InsertQDQ(Pass):
    """Insert QuantizeLinear and DequantizeLinear: int8 or uint8 arithmetic, visible in the graph.

    The inputs of linear operators are quantised behind their activation (never between a Conv and
    its activation), per tensor; weights per channel. Operators that only move or choose elements
    carry quantised values with one scale for all they touch. Everything else stays float32: pools
    that average, statistics, normalisations, the outputs of the last operators.

    Which operators, which number types and where exactly is the target's business: its pipeline
    gives the options. Ranges come from ``calibrate``. Enters no subgraphs.
    """

    name = "insert-qdq"
    contract = lossy("accuracy")
    leaves = (State.QDQ,)
    scheme: Scheme = option("symmetric", "number type and zero-point of activations")
    operators: tuple[str, ...] = option(
        tuple(sorted(LINEAR)), "operators that take quantised inputs"
    )
    carriers: tuple[str, ...] = option(
        tuple(sorted(CARRIERS)), "operators that pass quantised values on"
    )
    rescalers: tuple[str, ...] = option(
        (), "carriers whose inputs and outputs each keep a scale of their own"
    )
    carry: Literal["explicit", "through"] = option(
        "explicit", "whether a carrier has Q/DQ behind it too, or only in front"
    )
    residual: Residual = option("float", "which inputs of an Add of two activations to quantise")
    share: bool = option(False, "whether operators that stay float read dequantised values too")
    outputs: bool = option(
        False, "whether to quantise what quantised operators put out though only float ops read it"
    )
    fused: tuple[str, ...] = option(
        tuple(sorted(ACTIVATIONS)), "activations that run as one with the operator in front of a Q"
    )
    float_inputs: tuple[str, ...] = option(
        (), "operators that a MatMul or Gemm in front of them gives float, whatever outputs says"
    )
    between: tuple[str, ...] = option(
        (), "elementwise operators and pools that run in integers where all around them does"
    )
    weights: Literal["integer", "float"] = option(
        "integer", "store weights as int8 with DequantizeLinear, or as float with Q and DQ"
    )
    zero_points: tuple[str, ...] = option(
        (), "linear operators that the runtime computes in integers only by zero-points of weights"
    )
    per_channel: bool = option(True, "one weight scale a channel, or one a tensor")
    bias: Literal["float", "int32"] = option("float", "how to store biases of quantised operators")
    exclude: tuple[str, ...] = option((), "nodes that keep float inputs, by name or source name")

    quantized: Literal["refuse", "keep"] = option(
        "refuse", "whether a model that is quantised already is an error, or is left as it is"
    )

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Insert pairs.

        Raises:
            UsageError: No ranges are recorded, or `exclude` names no node.
            InvalidModelError: The model is quantised already.
        """
        if is_quantized(model, self.quantized, context):
            return
        if editing.opset_version(model) < 13:
            context.skip(None, "opset below 13")
            return
        check_names(model.graph, self.exclude, "insert-qdq{exclude}")
        quantization_plan = plan(model, self._rules())
        for node, reason in quantization_plan.skips:
            context.skip(node, reason)
        if not quantization_plan.inputs:
            lacks_range = any("range" in reason for _, reason in quantization_plan.skips)
            if lacks_range and not _has_ranges(model):
                raise UsageError(
                    "no activation has a range",
                    where="pass 'insert-qdq'",
                    hint="put calibrate in front of it, and give it data with --calib DIR",
                )
            return
        scales = self._activations(model, quantization_plan, context)
        self._weights(quantization_plan, scales, context)

    def planned_layers(self, model: ir.Model) -> list[ir.Node]:
        """The nodes whose inputs it would quantise, carriers left out, in graph order."""
        found = plan(model, self._rules())
        carriers = set(found.carriers)
        readers = dict.fromkeys(node for node, _ in found.inputs)
        return [node for node in readers if node not in carriers]

    def _rules(self) -> Rules:
        return Rules(
            self.operators, self.carriers, self.residual, self.share, self.outputs, self.exclude,
            self.rescalers, self.fused, self.float_inputs, self.between,
        )  # fmt: skip

    def _activations(
        self, model: ir.Model, quantization_plan: Plan, context: PassContext
    ) -> dict[ir.Value, QuantParams]:
        """Q/DQ behind the planned values; the parameters of each quantised one."""
        readers: dict[ir.Value, list[tuple[ir.Node, int]]] = {}
        for node, index in quantization_plan.inputs:
            value = node.inputs[index]
            assert value is not None
            readers.setdefault(value, []).append((node, index))
        carriers = {
            node for node in quantization_plan.carriers if not editing.is_op(node, *self.rescalers)
        }
        following = dict(pairwise(model.graph))
        parameters: dict[ir.Value, QuantParams] = {}
        for value, value_range in quantization_plan.ranges.items():
            params = activation_params(value_range, self.scheme)
            producer = value.producer()
            if producer in carriers and self.carry == "through":
                parameters[value] = params
                continue
            # Right behind the producer: with `share`, everything else reads the pair too.
            behind = model.graph[0] if producer is None else following[producer]
            note = f"{_type_name(params)}, scale {float(params.scale):.6g}"
            if not context.rewrite(producer or behind, f"{value.name}: {note}"):
                continue
            output = _pair(value, params, before=behind)
            parameters[value] = parameters[output] = params
            _redirect(
                value, output, readers.get(value, []), share=value in quantization_plan.shared
            )
        editing.remove_dead(value.producer() for value in list(parameters) if byte_image(value))
        return parameters

    def _weights(
        self, quantization_plan: Plan, scales: dict[ir.Value, QuantParams], context: PassContext
    ) -> None:
        done: dict[tuple[ir.Value, int | None], tuple[ir.Value, QuantizedWeight]] = {}
        for node in dict.fromkeys(node for node, _ in quantization_plan.inputs):
            index = weight_index(node)
            if index is None:
                continue
            value = node.inputs[index]
            array = editing.constant(value)
            assert value is not None
            assert array is not None
            axis = channel_axis(node, array) if self.per_channel and index == 1 else None
            if (value, axis) not in done:
                weight = quantized_weight(value, axis)
                if isinstance(weight, str):
                    context.skip(node, weight)
                    continue
                if not context.rewrite(node, f"{value.name}: {weight.describe()}"):
                    continue
                done[value, axis] = (self._written(node, value, weight), weight)
            output, weight = done[value, axis]
            node.replace_input_with(index, output)
            editing.remove_dead_initializer(value)
            if self.bias == "int32":
                moving = node.inputs[1 - index if editing.is_op(node, "Gemm") else 0]
                params = None if moving is None else scales.get(moving)
                _quantize_bias(node, params, weight, context)

    def _written(self, node: ir.Node, value: ir.Value, weight: QuantizedWeight) -> ir.Value:
        if self.weights == "float":
            return quantized_dequantized(node, value, weight)
        explicit = editing.is_op(node, *self.zero_points)
        return dequantized(node, value, weight, zero_point=explicit)


def _redirect(
    value: ir.Value, output: ir.Value, readers: list[tuple[ir.Node, int]], *, share: bool
) -> None:
    """Let the readers of `value` read `output`; with `share` all in its graph but the Q itself."""
    uses = readers
    if share:
        quantizer = output.producer()
        assert quantizer is not None
        own = (quantizer, quantizer.inputs[0].producer() if quantizer.inputs[0] else None)
        uses = [
            (use.node, use.idx)
            for use in value.uses()
            if use.node.graph is value.graph and use.node not in own
        ]
    for node, index in uses:
        node.replace_input_with(index, output)


def _has_ranges(model: ir.Model) -> bool:
    return any(range_of(value) is not None for node in model.graph for value in node.outputs)


def _type_name(params: QuantParams) -> str:
    zero = int(params.zero_point)
    return f"{params.zero_point.dtype}{f', zero-point {zero}' if zero else ''}"


def _pair(value: ir.Value, params: QuantParams, *, before: ir.Node) -> ir.Value:
    """QuantizeLinear and DequantizeLinear behind `value`; the output of the latter.

    Where `value` is a picture of bytes on the same grid, DequantizeLinear reads those.
    """
    graph = before.graph
    assert isinstance(graph, ir.Graph)
    producer = value.producer()
    sources = [before if producer is None else producer]
    hint = str(value.name)
    scale = editing.add_initializer(graph, f"{hint}_scale", params.scale)
    zero = editing.add_initializer(graph, f"{hint}_zero_point", params.zero_point)
    image = byte_image(value)
    if image is not None and image.is_quantised_by(params):
        quantized = image.data
    else:
        quantized = editing.new_node(
            "QuantizeLinear", [value, scale, zero], before=before, sources=sources,
            name=f"{hint}_quantize", shape=value.shape,
            dtype=ir.DataType(ir.DataType.from_numpy(params.zero_point.dtype)),
        )  # fmt: skip
    return editing.new_node(
        "DequantizeLinear", [quantized, scale, zero], before=before, sources=sources,
        name=f"{hint}_dequantize", dtype=ir.DataType.FLOAT, shape=value.shape,
    )  # fmt: skip


def _channels(node: ir.Node, weight: QuantizedWeight) -> int:
    if editing.is_op(node, "Gemm"):
        transposed = editing.attribute(node, "transB", 0)
        return editing.dimension(node.inputs[1], 0 if transposed else 1) or -1
    if editing.is_op(node, "ConvTranspose"):
        return int(weight.integers.shape[1] * editing.attribute(node, "group", 1))
    return int(weight.integers.shape[0])


def _quantize_bias(
    node: ir.Node, params: QuantParams | None, weight: QuantizedWeight, context: PassContext
) -> None:
    value = editing.input_at(node, 2)
    bias = editing.constant(value)
    if value is None or params is None:
        return
    if bias is None or bias.ndim != 1 or bias.dtype != np.float32:
        context.skip(node, "its bias is not a constant float32 vector")
        return
    if editing.attribute(node, "alpha", 1.0) != 1.0 or editing.attribute(node, "beta", 1.0) != 1.0:
        context.skip(node, "alpha or beta is not 1")
        return
    if bias.size != _channels(node, weight):
        context.skip(node, "its bias is not one value a channel")
        return
    integers_and_scale = quantized_bias(bias, float(params.scale), weight)
    if integers_and_scale is None:
        context.skip(node, "its bias does not fit int32")
        return
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    integers, scale = integers_and_scale
    hint = str(value.name)
    output = editing.new_node(
        "DequantizeLinear",
        [
            editing.add_initializer(graph, f"{hint}_quantized", integers),
            editing.add_initializer(graph, f"{hint}_scale", scale),
        ],
        before=node,
        sources=[node],
        attributes={"axis": 0},
        name=f"{hint}_dequantize",
        dtype=ir.DataType.FLOAT,
        shape=bias.shape,
    )
    node.replace_input_with(2, output)
    editing.remove_dead_initializer(value)
