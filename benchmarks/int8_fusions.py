"""What runtimes lose where they fuse Q/DQ pairs and an operator into one int8 operator.

    python benchmarks/int8_fusions.py

For each operator a graph of Q, DQ, the operator, Q and DQ over random data: how far from float it
is as ONNX says (ONNX Runtime without its rewrites), and as ONNX Runtime and OpenVINO run it. The
difference is what their int8 operator loses by itself. Prints a Markdown table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from lprc.compiler.artifact.artifact import open_artifact
from lprc.core.graph.annotations import Range
from lprc.core.quantization.affine import activation_params
from lprc.core.running.numerics import Session
from lprc.core.running.signal_to_noise import SignalToNoise

Float = NDArray[np.float32]
SAMPLES = 6


@dataclass(frozen=True)
class Operator:
    """An operator between pairs.

    Attributes:
        expression: ONNX text; ``{0}`` and ``{1}`` are its dequantised inputs.
        shapes: Of its inputs.
        weight: Of its constant ``w``, which gets a scale for each channel; None without.
        axis: The axis of those channels.
    """

    expression: str
    shapes: tuple[tuple[int, ...], ...]
    weight: tuple[int, ...] | None = None
    axis: int = 0


IMAGE, TOKENS, LOGITS = (1, 16, 24, 24), (1, 32, 64), (1, 4, 32, 32)
OPERATORS = {
    "Conv": Operator("Conv<pads=[1,1,1,1]>({0}, w)", (IMAGE,), (16, 16, 3, 3)),
    "Conv, depthwise": Operator("Conv<pads=[1,1,1,1], group=16>({0}, w)", (IMAGE,), (16, 1, 3, 3)),
    "ConvTranspose": Operator(
        "ConvTranspose<strides=[2,2]>({0}, w)", (IMAGE,), (16, 16, 2, 2), axis=1
    ),
    "Gemm": Operator("Gemm<transB=1>({0}, w)", ((8, 64),), (32, 64)),
    "MatMul": Operator("MatMul({0}, w)", (TOKENS,), (64, 64), axis=1),
    "MatMul of activations": Operator("MatMul({0}, {1})", (TOKENS, (1, 64, 32))),
    "Add": Operator("Add({0}, {1})", (IMAGE, IMAGE)),
    "Mul": Operator("Mul({0}, {1})", (IMAGE, IMAGE)),
    "Concat": Operator("Concat<axis=1>({0}, {1})", (IMAGE, IMAGE)),
    "AveragePool": Operator("AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>({0})", (IMAGE,)),
    "GlobalAveragePool": Operator("GlobalAveragePool({0})", (IMAGE,)),
    "ReduceMean": Operator("ReduceMean<keepdims=1>({0}, axes)", (IMAGE,)),
    "MaxPool": Operator("MaxPool<kernel_shape=[2,2], strides=[2,2]>({0})", (IMAGE,)),
    "Softmax": Operator("Softmax<axis=-1>({0})", (LOGITS,)),
    "LeakyRelu": Operator("LeakyRelu<alpha=0.1>({0})", (IMAGE,)),
    "Sigmoid": Operator("Sigmoid({0})", (IMAGE,)),
    "Relu": Operator("Relu({0})", (IMAGE,)),
}


@dataclass(frozen=True)
class Loss:
    """Of one operator, decibels of signal over noise against float.

    Attributes:
        as_written: Its Q/DQ graph, run as ONNX defines it.
        runtimes: The same graph in each runtime, by name.
        fused: The integer operators that ONNX Runtime made of it; empty where it made none.
    """

    as_written: float
    runtimes: dict[str, float]
    fused: tuple[str, ...]


def probe(operator: Operator, folder: Path, runtimes: Sequence[str] = ("ort",)) -> Loss:
    """Run one operator in float, as Q/DQ, and in each of `runtimes` (``ort``, ``openvino``)."""
    generator = np.random.default_rng(0)
    names = ["a", "b"][: len(operator.shapes)]
    samples = [
        {
            name: generator.standard_normal(shape).astype(np.float32)
            for name, shape in zip(names, operator.shapes, strict=True)
        }
        for _ in range(SAMPLES)
    ]
    weight = None
    if operator.weight is not None:
        weight = generator.standard_normal(operator.weight).astype(np.float32)
    plain = Session(_graph(operator, names, weight, {}).SerializeToString())
    wanted = [plain.run(sample) for sample in samples]
    observed = {name: np.stack([sample[name] for sample in samples]) for name in names}
    observed["y"] = np.stack([outputs["y"] for outputs in wanted])
    path = folder / "operator.onnx"
    onnx.save(_graph(operator, names, weight, observed), path)
    runs = {"": Session(path).run}
    runs |= {name: open_artifact(f"{path}@{name}").runner().run for name in runtimes}
    ratios = {}
    for name, run in runs.items():
        ratio = SignalToNoise()
        for sample, outputs in zip(samples, wanted, strict=True):
            ratio.add(outputs, run(sample))
        ratios[name] = ratio.decibels
    return Loss(ratios.pop(""), ratios, _integer_operators(path))


def _graph(
    operator: Operator, names: list[str], weight: Float | None, observed: dict[str, Float]
) -> onnx.ModelProto:
    """The operator in float; with Q/DQ pairs around it where `observed` has values."""
    inputs = ", ".join(
        f"float[{','.join(map(str, shape))}] {name}"
        for name, shape in zip(names, operator.shapes, strict=True)
    )
    constants: dict[str, NDArray[np.generic]] = {"axes": np.array([2, 3], np.int64)}
    body, read = "", dict(zip(names, names, strict=True))
    if weight is not None:
        constants["w"] = weight
    if observed:
        for name in names:
            body += _pair(name, f"{name}_read", observed[name], constants)
            read[name] = f"{name}_read"
    expression = operator.expression.format(*read.values())
    if observed and weight is not None:
        body += f"w_read = DequantizeLinear<axis={operator.axis}>(w_integers, w_scale) "
        _store_weight(weight, operator.axis, constants)
        expression = expression.replace(", w)", ", w_read)")
    body += f"{'out' if observed else 'y'} = {expression} "
    if observed:
        body += _pair("out", "y", observed["y"], constants)
    model = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["" : 20]> g ({inputs}) => (float y) {{ {body} }}'
    )
    model.graph.output[0].type.tensor_type.ClearField("shape")
    used = {name for node in model.graph.node for name in node.input}
    for name, array in constants.items():
        if name in used:
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return onnx.shape_inference.infer_shapes(model)


def _pair(
    value: str, output: str, observed: Float, constants: dict[str, NDArray[np.generic]]
) -> str:
    """Text of Q and DQ between two values, as ``ort-int8`` quantises the range of `observed`."""
    params = activation_params(Range(float(observed.min()), float(observed.max())), "asymmetric")
    scale, zero = f"{output}_scale", f"{output}_zero"
    constants |= {scale: params.scale, zero: params.zero_point}
    return (
        f"{output}_integers = QuantizeLinear({value}, {scale}, {zero}) "
        f"{output} = DequantizeLinear({output}_integers, {scale}, {zero}) "
    )


def _store_weight(weight: Float, axis: int, constants: dict[str, NDArray[np.generic]]) -> None:
    others = tuple(each for each in range(weight.ndim) if each != axis)
    steps = np.abs(weight).max(axis=others, keepdims=True) / 127
    constants["w_integers"] = np.rint(weight / steps).astype(np.int8)
    constants["w_scale"] = steps.reshape(-1).astype(np.float32)


def _integer_operators(path: Path) -> tuple[str, ...]:
    """What ONNX Runtime runs besides Q and DQ, where that computes in integers."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path.with_name("optimised.onnx"))
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
    types -= {"QuantizeLinear", "DequantizeLinear"}
    marks = ("QLinear", "QGemm", "Integer", "MaxPool")
    return tuple(sorted(name for name in types if name.startswith(marks) or "Integer" in name))


def main() -> None:
    """Print the table."""
    print("| operator | as written | ONNX Runtime | | loss | OpenVINO | loss |")
    print("|---|---|---|---|---|---|---|")
    for name, operator in OPERATORS.items():
        with tempfile.TemporaryDirectory() as folder:
            loss = probe(operator, Path(folder), ("ort", "openvino"))
        fused = ", ".join(loss.fused) or "float"
        first, second = loss.runtimes["ort"], loss.runtimes["openvino"]
        print(
            f"| {name} | {loss.as_written:.1f} | {first:.1f} | {fused} "
            f"| {loss.as_written - first:.1f} | {second:.1f} | {loss.as_written - second:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
