"""Eight-bit weights and activations, simulated, and how much of the outputs they leave."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import Range
from lprc.core.onnx_io import model_io
from lprc.core.quantization import affine
from lprc.core.running.numerics import Arrays, run
from lprc.core.running.observe import observe

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def fake_quantised(
    model: ir.Model, samples: list[Arrays], *, per_channel_weights: bool = False
) -> ir.Model:
    """A copy whose linear operators read symmetric int8: activations per tensor, constant weights."""
    copy = model_io.from_proto(model_io.to_proto(model))
    nodes = [
        node
        for node in copy.graph
        if editing.is_op(node, *LINEAR) and editing.constant(node.inputs[1]) is not None
    ]
    values = list(dict.fromkeys(node.inputs[0] for node in nodes))
    largest = dict.fromkeys((value.name for value in values), 0.0)
    for found in observe(copy, values, samples):
        for name, array in found.items():
            largest[name] = max(largest[name], float(np.abs(array).max()))
    for node in nodes:
        value, weight = node.inputs[0], editing.constant(node.inputs[1])
        bound = largest[value.name]
        params = affine.activation_params(Range(-bound, bound), "symmetric")
        pair = [
            editing.add_initializer(copy.graph, "scale", params.scale),
            editing.add_initializer(copy.graph, "zero", params.zero_point),
        ]
        whole = editing.new_node(
            "QuantizeLinear", [value, *pair], before=node, sources=[node], dtype=ir.DataType.INT8
        )
        back = editing.new_node(
            "DequantizeLinear", [whole, *pair], before=node, sources=[node], dtype=ir.DataType.FLOAT
        )
        node.replace_input_with(0, back)
        last = node.op_type == "MatMul" or (
            node.op_type == "Gemm" and not editing.attribute(node, "transB", 0)
        )
        axis = (
            (1 if last or node.op_type == "ConvTranspose" else 0) if per_channel_weights else None
        )
        scale = affine.weight_scale(weight, axis)
        integers = affine.quantize_weight(weight, scale, axis)
        rounded = integers * affine.expand(scale, weight.shape, axis)
        node.replace_input_with(
            1, editing.add_initializer(copy.graph, "rounded", rounded.astype(np.float32))
        )
    return copy


def snr(exact: ir.Model, quantised: ir.Model, samples: list[Arrays]) -> float:
    """Signal over noise of the first output, in dB, over all samples."""
    signal = noise = 0.0
    for inputs in samples:
        wanted = next(iter(run(exact, inputs).values())).astype(np.float64)
        got = next(iter(run(quantised, inputs).values())).astype(np.float64)
        signal += float((wanted**2).sum())
        noise += float(((wanted - got) ** 2).sum())
    return float(10 * np.log10(signal / noise))
