"""Graphs of one linear operator each, with attributes of every kind."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.onnx_io.model_io import from_proto

LAYERS = {
    "conv": "float[N,4,6,7] x | float[6,4,3,3] w | Conv(x, w)",
    "strided": "float[N,4,9,7] x | float[6,4,3,2] w | Conv<strides=[2,3], pads=[1,0,2,1]>(x, w)",
    "dilated": "float[N,4,9,7] x | float[6,4,3,2] w | Conv<dilations=[2,3]>(x, w)",
    "same": "float[N,4,7,8] x | float[6,4,3,2] w | Conv<auto_pad=\"SAME_UPPER\", strides=[2,3]>(x, w)",
    "same lower": "float[N,4,7,8] x | float[6,4,2,4] w | Conv<auto_pad=\"SAME_LOWER\">(x, w)",
    "grouped": "float[N,6,5,5] x | float[4,3,3,3] w | Conv<group=2>(x, w)",
    "depthwise": "float[N,4,6,6] x | float[4,1,3,3] w | Conv<group=4, pads=[1,1,1,1]>(x, w)",
    "conv1d": "float[N,4,9] x | float[6,4,3] w | Conv<strides=[2]>(x, w)",
    "conv3d": "float[N,2,4,4,4] x | float[4,2,2,2,2] w | Conv(x, w)",
    "transposed": "float[N,4,5,4] x | float[4,6,3,3] w | ConvTranspose<strides=[2,2], pads=[1,0,1,1], output_padding=[1,0]>(x, w)",
    "transposed dilated": "float[N,4,5,4] x | float[4,6,3,2] w | ConvTranspose<dilations=[2,1], strides=[1,3]>(x, w)",
    "transposed grouped": "float[N,4,5,4] x | float[4,3,2,2] w | ConvTranspose<group=2, strides=[2,2]>(x, w)",
    "transposed cropped": "float[N,4,5,4] x | float[4,6,2,2] w | ConvTranspose<pads=[2,1,1,2]>(x, w)",
    "gemm": "float[N,8] x | float[8,5] w | Gemm<alpha=0.5>(x, w)",
    "gemm transposed": "float[N,8] x | float[5,8] w | Gemm<transB=1>(x, w)",
    "gemm both": "float[8,3] x | float[5,8] w | Gemm<transA=1, transB=1>(x, w)",
    "matmul": "float[N,8] x | float[8,5] w | MatMul(x, w)",
    "matmul of many": "float[N,3,8] x | float[8,5] w | MatMul(x, w)",
}  # fmt: skip


def layer_model(name: str, *, seed: int = 0) -> ir.Model:
    """The graph with a random float32 weight `w`, its output called `y`."""
    value, weight, node = (part.strip() for part in LAYERS[name].split("|"))
    shape = [int(size) for size in weight[len("float[") : weight.index("]")].split(",")]
    array = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return model(f"({value}) => (float{rank_of(node, value)} y) {{ [layer] y = {node} }}", w=array)


def rank_of(node: str, value: str) -> str:
    rank = value[: value.index("]")].count(",") + 1
    return f"[{','.join(f'd{index}' for index in range(rank))}]"


def model(text: str, *, opset: int = 21, **weights: np.ndarray) -> ir.Model:
    """ONNX text of a graph, with `weights` as its initialisers."""
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> g {text}')
    for name, array in weights.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    inferred = onnx.shape_inference.infer_shapes(proto)
    return from_proto(inferred)


def correlated_samples(source: ir.Model, count: int = 6, *, seed: int = 7) -> list[dict]:
    """Inputs whose elements go up and down together, as those of images do."""
    generator = np.random.default_rng(seed)
    (value,) = [each for each in source.graph.inputs if not each.is_initializer()]
    shape = [size if isinstance(size, int) else 2 for size in value.shape]
    common = generator.standard_normal((count, *[1] * len(shape)))
    noise = generator.standard_normal((count, *shape))
    return [{"x": np.abs(each).astype(np.float32)} for each in 1 + common + 0.5 * noise]
