"""The multiply-accumulates a second that OpenVINO reaches here, and how near a graph comes.

    python benchmarks/roofline.py [ARTEFACT]

A 1x1 Conv of 512 to 512 channels on 28x28 is nothing but a matrix product that fits the caches: the
most that this CPU gives in float32 and in int8 (u8 activations, s8 weights). With an artefact of
`lprc compile`, its own multiply-accumulates (of its Convs), the time that they would take at that
peak, and the time that the artefact takes.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from lprc.compiler.artifact.artifact import LOWERED, open_artifact
from lprc.compiler.measure.bench import bench
from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import load

CHANNELS, SIDE, LAYERS = 512, 28, 4


def main() -> None:
    """Measure and print."""
    count = LAYERS * CHANNELS * CHANNELS * SIDE * SIDE
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("float32.onnx", "int8.onnx")]
        for path in paths:
            onnx.save(_product(quantized=path.stem == "int8"), path)
        rows = bench([f"{path}@openvino" for path in paths], rounds=100)
    peaks = {path.stem: count / row.median_ms / 1e6 for path, row in zip(paths, rows, strict=True)}
    for name, peak in peaks.items():
        print(f"peak {name}: {peak:.0f} GMAC/s")
    for name in sys.argv[1:]:
        artefact = open_artifact(name)
        kind = "int8" if "int8" in str((artefact.manifest or {}).get("precision")) else "float32"
        own = macs(load(artefact.path / LOWERED))
        (row,) = bench([name], rounds=300)
        ideal = own / peaks[kind] / 1e6
        print(
            f"{name}: {own / 1e6:.1f} M MACs, {ideal:.3f} ms at the {kind} peak, "
            f"{row.median_ms:.3f} ms measured: {ideal / row.median_ms:.0%}"
        )


def macs(model: ir.Model) -> int:
    """The multiply-accumulates of the Convs of a model at batch 1."""
    total = 0
    for node in model.graph:
        weight = node.inputs[1] if editing.is_op(node, "Conv") else None
        shape, output = editing.static_shape(weight), node.outputs[0].shape
        if shape is not None and output is not None:
            total += math.prod(shape) * math.prod(int(size) for size in output[2:])
    return total


def _product(*, quantized: bool) -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    weights.append(numpy_helper.from_array(np.array(0.02, np.float32), "scale"))
    weights.append(numpy_helper.from_array(np.array(0, np.uint8), "zero"))
    weights.append(numpy_helper.from_array(np.full(CHANNELS, 0.001, np.float32), "scales"))
    for index in range(LAYERS):
        shape = (CHANNELS, CHANNELS, 1, 1)
        if quantized:
            array = generator.integers(-127, 128, shape).astype(np.int8)
            nodes += [
                helper.make_node("QuantizeLinear", [value, "scale", "zero"], [f"q{index}"]),
                helper.make_node("DequantizeLinear", [f"q{index}", "scale", "zero"], [f"d{index}"]),
                helper.make_node(
                    "DequantizeLinear", [f"w{index}", "scales"], [f"v{index}"], axis=0
                ),
            ]
            inputs = [f"d{index}", f"v{index}"]
        else:
            array = generator.standard_normal(shape).astype(np.float32) / 20
            inputs = [value, f"w{index}"]
        weights.append(numpy_helper.from_array(array, f"w{index}"))
        value = f"y{index}"
        nodes += [
            helper.make_node("Conv", inputs, [f"c{index}"]),
            helper.make_node("Relu", [f"c{index}"], [value]),
        ]
    image = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, image)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


if __name__ == "__main__":
    main()
