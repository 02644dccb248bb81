"""What lossy passes cost is said whenever there are real samples, and warned of where it is much."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.optimize import optimize_file
from lprc.compiler.compile.request import compile_request

EXACT = "infer-shapes,eliminate-identity,eliminate-dead-code"
MAGNITUDE = "sparsify{pattern=2:4,criterion=magnitude,repair=none}"


@pytest.fixture
def source(tmp_path):
    """Three Convs of 3×3, wide enough for groups of four, whose outputs are eight classes a pixel."""
    widths = [(4, 16), (16, 16), (16, 8)]
    nodes, weights, value = [], [], "x"
    generator = np.random.default_rng(0)
    for number, (inputs, outputs) in enumerate(widths):
        kernel = generator.standard_normal((outputs, inputs, 3, 3)).astype(np.float32) / inputs
        weights.append(onnx.numpy_helper.from_array(kernel, f"w{number}"))
        window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        names = [value, f"w{number}"], [f"c{number}"]
        nodes.append(onnx.helper.make_node("Conv", *names, name=f"conv{number}", **window))
        value = f"c{number}"
        if number < 2:
            nodes.append(onnx.helper.make_node("Relu", [value], [f"r{number}"]))
            value = f"r{number}"
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", size, 12, 12])
        for name, size in (("x", 4), (value, 8))
    ]
    graph = onnx.helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9
    )
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def samples():
    generator = np.random.default_rng(1)
    return [{"x": generator.standard_normal((1, 4, 12, 12)).astype(np.float32)} for _ in range(16)]


def test_a_lossy_pipeline_that_decides_otherwise_is_warned_of(source, samples, tmp_path):
    done = optimize_file(source, MAGNITUDE, tmp_path / "o.onnx", calibration=samples)
    assert done.agreement is not None
    assert done.agreement < 0.9
    (warning,) = done.warnings
    assert f"agreement with the source is {done.agreement:.4f} behind sparsify" in warning
    assert "lprc finetune" in warning


def test_an_exact_pipeline_agrees_wholly(source, samples, tmp_path):
    done = optimize_file(source, EXACT, tmp_path / "o.onnx", calibration=samples, verify="each")
    assert (done.agreement, done.warnings) in ((1.0, []), (None, []))


def test_made_up_inputs_say_nothing_of_agreement(source, tmp_path):
    done = optimize_file(source, MAGNITUDE, tmp_path / "o.onnx")
    assert (done.agreement, done.warnings) == (None, [])


def test_pruned_and_sparse_stays_so_through_a_sparse_int8_target(source, samples, tmp_path):
    pruned, sparse = tmp_path / "pruned.onnx", tmp_path / "sparse.onnx"
    passes = "prune-channels{ratio=0.25,round-to=4}"
    optimize_file(source, passes, pruned, calibration=samples)
    optimize_file(pruned, MAGNITUDE, sparse, calibration=samples)
    request = compile_request(
        sparse, "tensorrt-sparse-int8", tmp_path / "out", emit="onnx", calibration=samples
    )
    compiled = compile_model(request)
    before, after = _kernels(sparse), _kernels(tmp_path / "out" / "lowered.onnx")
    assert [kernel.shape for kernel in before] == [kernel.shape for kernel in after]
    assert [kernel.shape[0] for kernel in after] != [16, 16, 8]
    for sparse_kernel, kernel in zip(before, after, strict=True):
        assert kernel.dtype == np.int8
        assert not kernel[sparse_kernel == 0].any()
        groups = (kernel != 0).reshape(kernel.shape[0], -1, 4, 3, 3).sum(axis=2)
        assert groups.max() <= 2
    assert compiled.optimized.agreement is not None
    assert compiled.optimized.agreement > 0.97


def test_a_sparse_target_repairs_a_dense_model_by_default(source, samples, tmp_path):
    out = tmp_path / "out"
    request = compile_request(source, "tensorrt-sparse-int8", out, emit="onnx", calibration=samples)
    repaired = compile_model(request).optimized.agreement
    bare = optimize_file(source, MAGNITUDE, tmp_path / "o.onnx", calibration=samples).agreement
    assert repaired is not None
    assert bare is not None
    assert repaired > bare


def _kernels(path):
    """The stored kernels in the order of the Convs, whatever stands between."""
    model = onnx.load(path)
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    behind = {
        node.output[0]: node.input[0] for node in model.graph.node if "Dequantize" in node.op_type
    }
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    return [arrays[behind.get(conv.input[1], conv.input[1])] for conv in convs]
