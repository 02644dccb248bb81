"""What ONNX Runtime makes of ort-int8's graphs: which operators run in integers, and how well."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.running.numerics import Session
from lprc.core.running.signal_to_noise import SignalToNoise
from lprc.core.targets.target import target

CHANNELS = 16
FUSIONS = ",fused=Relu,float-inputs=Softmax"
"""What the target's pipeline says of them; without it every Q stands behind its activation."""
RANGES = ",behind-activation=true"

ACTIVATIONS = {
    "Relu": "Relu({0})",
    "Clip": "Clip({0}, zero, six)",
    "Clip with negative outputs": "Clip({0}, minus, one)",
    "LeakyRelu": "LeakyRelu<alpha=0.1>({0})",
    "PRelu": "PRelu({0}, slope)",
    "Sigmoid": "Sigmoid({0})",
    "HardSwish": "HardSwish({0})",
    "Gelu": "Gelu({0})",
    "Elu": "Elu({0})",
    "Tanh": "Tanh({0})",
}
CONSTANTS = (
    "float zero = {0.0}, float six = {6.0}, float minus = {-1.0}, float one = {1.0},"
    " int64[2] space = {2,3}"
)


def source(path: Path, body: str, inputs: str, weights: dict[str, tuple[int, ...]]) -> Path:
    text = f"""<ir_version: 9, opset_import: ["" : 20]>
    g ({inputs}) => (float[1,{CHANNELS},1,1] y) <{CONSTANTS}> {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    generator = np.random.default_rng(0)
    for name, shape in weights.items():
        array = generator.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


def convolutions(path: Path, activation: str) -> Path:
    names = ["x", *(f"r{index}" for index in range(4))]
    body = " ".join(
        f"c{index} = Conv<pads=[1,1,1,1]>({names[index]}, w{index}, b)"
        f" r{index} = {activation.format(f'c{index}')}"
        for index in range(4)
    )
    weights = {f"w{index}": (CHANNELS, CHANNELS, 3, 3) for index in range(4)}
    vectors = {"b": (CHANNELS, 1), "slope": (CHANNELS, 1, 1)}
    made = source(
        path, f"{body} y = GlobalAveragePool(r3)", f"float[1,{CHANNELS},16,16] x", weights | vectors
    )
    model = onnx.load(made)
    bias = next(value for value in model.graph.initializer if value.name == "b")
    del bias.dims[1]
    onnx.save(model, made)
    return made


def samples(model: Path, count: int, seed: int) -> list[dict[str, np.ndarray]]:
    shape = [dim.dim_value for dim in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
    generator = np.random.default_rng(seed)
    return [{"x": generator.standard_normal(shape).astype(np.float32)} for _ in range(count)]


def lowered(model: Path, out: Path, passes: str | None = None) -> Path:
    settings = {"calibration": samples(model, 12, seed=1), "verify": "off", "passes": passes}
    compile_model(compile_request(model, "ort-int8", out, **settings))
    return out / "lowered.onnx"


def executed(model: Path) -> Counter[str]:
    """How many operators of each type ONNX Runtime runs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(model.with_name("optimised.onnx"))
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def decibels(model: Path, artefact: Path) -> float:
    ratio = SignalToNoise()
    reference, quantised = (Session(path.read_bytes()) for path in (model, artefact))
    for inputs in samples(model, 6, seed=2):
        ratio.add(reference.run(inputs), quantised.run(inputs))
    return ratio.decibels


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_conv_in_front_of_any_activation_runs_in_integers(name, tmp_path):
    model = convolutions(tmp_path / "source.onnx", ACTIVATIONS[name])
    artefact = lowered(model, tmp_path / "now")
    counts = executed(artefact)
    assert counts["QLinearConv"] == 4
    assert counts["Conv"] == counts["FusedConv"] == 0
    pipeline = target("ort-int8").pipeline
    for text in (FUSIONS, RANGES):
        assert pipeline.count(text) == 1
        pipeline = pipeline.replace(text, "")
    behind = lowered(model, tmp_path / "behind", pipeline)
    assert decibels(model, artefact) > decibels(model, behind) - 1


def test_a_softmax_stays_float_and_the_products_beside_it_do_not(tmp_path):
    body = (
        "q = MatMul(x, wq) k0 = MatMul(x, wk) k = Transpose<perm=[0,2,1]>(k0) v = MatMul(x, wv)"
        " s = MatMul(q, k) p = Softmax(s) o = MatMul(p, v) z = MatMul(o, wo) y = Neg(z)"
    )
    weights = dict.fromkeys(("wq", "wk", "wv", "wo"), (CHANNELS, CHANNELS))
    model = source(tmp_path / "source.onnx", body, f"float[1,24,{CHANNELS}] x", weights)
    artefact = lowered(model, tmp_path / "now")
    counts = executed(artefact)
    assert counts["Softmax"] == 1
    assert counts["QLinearSoftmax"] == counts["MatMul"] == 0
    assert counts["QLinearMatMul"] + counts["MatMulIntegerToFloat"] == 6
    assert decibels(model, artefact) > 25


def test_gemms_run_in_integers_and_the_last_one_puts_out_float(tmp_path):
    body = (
        "p = GlobalAveragePool(x) f = Flatten(p) a = Gemm<transB=1>(f, w0) r = Relu(a)"
        " l = Gemm(r, w1) y = Identity(l)"
    )
    weights = {"w0": (32, CHANNELS), "w1": (32, 2048)}
    model = source(tmp_path / "source.onnx", body, f"float[1,{CHANNELS},8,8] x", weights)
    counts = executed(lowered(model, tmp_path / "now"))
    assert counts["QGemm"] == 2
    assert counts["Gemm"] == 0
    assert counts["DequantizeLinear"] == 0


def test_swish_and_a_gate_run_in_integers(tmp_path):
    body = (
        "c = Conv<pads=[1,1,1,1]>(x, w0) s = Sigmoid(c) r = Mul(c, s)"
        " p = ReduceMean<keepdims=1>(r, space) g = Conv(p, w1) e = Sigmoid(g) o = Mul(r, e)"
        " l = Conv(o, w2) h = GlobalAveragePool(l) y = Neg(h)"
    )
    weights = {"w0": (CHANNELS, CHANNELS, 3, 3)} | dict.fromkeys(
        ("w1", "w2"), (CHANNELS, CHANNELS, 1, 1)
    )
    model = source(tmp_path / "source.onnx", body, f"float[1,{CHANNELS},16,16] x", weights)
    artefact = lowered(model, tmp_path / "now")
    counts = executed(artefact)
    assert (counts["QLinearConv"], counts["QLinearMul"], counts["QLinearSigmoid"]) == (3, 2, 2)
    assert counts["QLinearGlobalAveragePool"] == 2
    assert counts["Mul"] == counts["Sigmoid"] == counts["ReduceMean"] == 0
    assert decibels(model, artefact) > 25


def test_a_transposed_conv_has_float_weights(tmp_path):
    body = (
        "a = Conv(x, w0) t = ConvTranspose<strides=[2,2]>(a, w1) b = Conv<pads=[1,1,1,1]>(t, w2)"
        " y = GlobalAveragePool(b)"
    )
    weights = {f"w{index}": (CHANNELS, CHANNELS, 3, 3) for index in range(3)}
    model = source(tmp_path / "source.onnx", body, f"float[1,{CHANNELS},8,8] x", weights)
    artefact = lowered(model, tmp_path / "now")
    counts = executed(artefact)
    assert (counts["QLinearConv"], counts["ConvTranspose"]) == (2, 1)
    # ONNX Runtime has no integer kernel, and would convert the weights in every run.
    graph = onnx.load(artefact).graph
    transposed = next(node for node in graph.node if node.op_type == "ConvTranspose")
    assert transposed.input[1] in {weight.name for weight in graph.initializer}
