"""A small network, to find out by trying what can be built here and what runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from lprc.core.running.numerics import Arrays

CHANNELS = 32
"""Of its layers, a multiple of what every target asks for."""

SIZE = 32
"""Pixels of its input, each way."""


def write_probe(path: Path) -> None:
    """Write three Convs with ReLUs, a pool and a classifier; half a millisecond of one core."""
    generator = np.random.default_rng(0)
    nodes, weights, value, inputs = [], [], "image", 3
    for index in range(3):
        shape = (CHANNELS, inputs, 3, 3)
        array = generator.standard_normal(shape).astype(np.float32) / np.sqrt(9 * inputs)
        weights.append(onnx.numpy_helper.from_array(array.astype(np.float32), f"weight{index}"))
        convolved, value, before = f"convolved{index}", f"relu{index}", value
        names = [before, f"weight{index}"]
        nodes.append(onnx.helper.make_node("Conv", names, [convolved], pads=[1, 1, 1, 1]))
        nodes.append(onnx.helper.make_node("Relu", [convolved], [value]))
        inputs = CHANNELS
    nodes.append(onnx.helper.make_node("GlobalAveragePool", [value], ["pooled"]))
    nodes.append(onnx.helper.make_node("Flatten", ["pooled"], ["scores"]))
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "probe",
        [onnx.helper.make_tensor_value_info("image", kind, [1, 3, SIZE, SIZE])],
        [onnx.helper.make_tensor_value_info("scores", kind, [1, CHANNELS])],
        weights,
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9
    )
    onnx.save(model, path)


def probe_samples(count: int = 8) -> list[Arrays]:
    """Inputs to calibrate it with."""
    generator = np.random.default_rng(1)
    shape = (1, 3, SIZE, SIZE)
    return [{"image": generator.standard_normal(shape).astype(np.float32)} for _ in range(count)]
