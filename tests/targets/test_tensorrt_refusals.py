"""What can't be built is refused by a message that names node, rule and remedy; nothing is written."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from engines import QUANTIZED, SMALL, emitted, saved

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.errors import (
    IllegalForTargetError,
    InvalidModelError,
    LprcError,
    OutputError,
    UsageError,
)
from lprc.core.process.worker import WorkerError
from lprc.targets.tensorrt_process import _error
from lprc.targets.tensorrt_scripts.build_engine import Failure
from lprc.targets.tensorrt_scripts.parser_errors import plain

BAD = """<ir_version: 10, opset_import: ["" : 21]>
g (float[1,4,8,8] x) => (float[A,B,C,D] y) <float[4] scales = {1, 1, 2, 2}> {
    [first] h = Relu (x)
    [bad] NODE
}"""


def refused(error, source, target, **options):
    """The error, which leaves no file behind."""
    before = sorted(source.parent.iterdir())
    with pytest.raises(LprcError) as caught:
        emitted(source, target, source.parent / "out", **options)
    assert type(caught.value) is error
    assert sorted(source.parent.iterdir()) == before
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("int8 z = {0}", "int8 z = {3}",
         "node 'q' (QuantizeLinear): TensorRT quantises symmetrically only (zero point 3); "
         "illegal for target 'tensorrt-int8' (and 1 more)",
         "run insert-qdq{scheme=symmetric} on the float model"),
        ("[conv] c = Conv (xd, wd, b)",
         "[bdq] bd = DequantizeLinear (i, s) [conv] c = Conv (xd, wd, bd)",
         "node 'conv' (Conv): TensorRT takes float biases only",
         "keep the bias in float: insert-qdq{scheme=symmetric} does"),
        ("[relu] y = Relu (c)", "[unique] u = Unique (c) [relu] y = Relu (c)",
         "node 'unique' (Unique): TensorRT has no such operator", "run lower-sequences if"),
    ],
    ids=["zero-point", "int32-bias", "operator"],
)  # fmt: skip
def test_rules(tmp_path, old, new, message, hint):
    """By our rules, in the words of the target's file, without TensorRT."""
    wide = ("float[4] b = ", "int32[4] i = {1, 2, 3, 4}, float[4] b = ")
    source = saved(QUANTIZED, tmp_path / "m.onnx", (old, new), wide)
    error = refused(IllegalForTargetError, source, "trt-int8")
    assert error.exit_code == 4
    assert error.message.startswith(message)
    assert error.where == str(source)
    assert error.hint.startswith(hint)


def test_a_float16_scale_that_underflows(tmp_path):
    """Of a model that is quantised already: 1e-9 is nothing in float16."""
    text = QUANTIZED.replace("{0.05}", "{1}").replace("{0.03}", "{1}").replace("float", "float16")
    path = saved(text, tmp_path / "m.onnx")
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name in ("s", "ws"):
            scale = np.array(0.05 if tensor.name == "s" else 1e-9, np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(scale, tensor.name))
    onnx.save(model, path)
    with pytest.raises(IllegalForTargetError) as caught:
        compile_model(
            compile_request(
                path, "trt-int8", tmp_path / "out", emit="onnx", quantized="keep", verify="off"
            )
        )
    assert caught.value.message.startswith("node 'wdq' (DequantizeLinear): the scale can't be used")
    assert "keep scales in float32" in caught.value.hint
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]


def test_a_quantised_model_is_refused_or_kept(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(QUANTIZED, tmp_path / "m.onnx")
    with pytest.raises(InvalidModelError, match="quantised"):
        compile_model(compile_request(source, "trt-int8", tmp_path / "out"))
    compiled = compile_model(
        compile_request(source, "trt-int8", tmp_path / "out", quantized="keep")
    )
    assert compiled.emitted.report["operators"] == {"Conv": {"all": 1, "asked": 1, "int8": 1}}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ('y = Resize <mode = "linear", antialias = 1> (h,, scales)',
         "node 'bad' (Resize, from head/theirs): TensorRT can't take it: Antialiasing is not supported currently."),
        ("y = LpPool <kernel_shape = [2, 2], p = 3> (h)",
         "node 'bad' (LpPool, from head/theirs): TensorRT can't take it: Only L1 and L2 normalization are supported."),
        ("y = AffineGrid (h, h)",
         "node 'bad' (AffineGrid, from head/theirs): TensorRT can't take it: no such operator"),
    ],
    ids=["attribute", "value", "operator"],
)  # fmt: skip
def test_what_only_tensorrts_parser_refuses(tmp_path, node, message):
    """It passes our rules, and the node that it came from is named."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(BAD, tmp_path / "m.onnx", ("NODE", node))
    model = onnx.load(source)
    model.graph.node[1].metadata_props.add(key="lprc.origin", value=json.dumps(["head/theirs"]))
    onnx.save(model, source)
    error = refused(IllegalForTargetError, source, "trt-fp32")
    assert error.message == message
    assert error.hint.startswith("cut the graph in front of it")


def test_of_several_nodes_the_first_is_named(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    text = BAD.replace("NODE", "i = AffineGrid (h, h) [worse] y = AffineGrid (i, i)")
    error = refused(IllegalForTargetError, saved(text, tmp_path / "m.onnx"), "trt-fp32")
    assert "node 'bad' (AffineGrid)" in error.message


def test_too_little_workspace(lowered):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    graph = lowered("bundled", "trt-fp16")
    error = refused(WorkerError, graph, "trt-fp16", workspace="1")
    assert error.exit_code == 4
    assert "no tactics to implement the operation within workspace limit" in error.message
    assert ".cpp" not in error.message
    assert "workspace=1" in error.hint


@pytest.mark.parametrize("gpu", ["87", "999"])
def test_an_unknown_compute_capability(tmp_path, gpu):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(SMALL, tmp_path / "m.onnx")
    error = refused(UsageError, source, "trt-fp32", compute_capability=("86", gpu))
    assert error.where == "compute-capability"
    assert f"can't build for compute capability {gpu}" in error.message
    assert "86" in error.hint


def test_an_output_that_can_not_be_written(tmp_path):
    source = saved(SMALL, tmp_path / "m.onnx")
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError) as caught:
            emitted(source, "trt-fp32", out)
        assert caught.value.exit_code == 9
        assert caught.value.where == str(out)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_earlier_engine_survives_a_failure(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source, out = saved(SMALL, tmp_path / "m.onnx"), tmp_path / "out"
    emitted(source, "trt-fp32", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UsageError):
        emitted(source, "trt-fp32", out, compute_capability="999")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    emitted(source, "trt-fp32", out, emit="kit")
    assert not (out / "model.engine").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('Assertion failed: (antialias == 0) && "Antialiasing is not supported."',
         "Antialiasing is not supported."),
        ("Assertion failed: (a.size() == 2): It has: two.", "It has: two."),
        ("Assertion failed: dims.nbDims == 2: Only 2D tensors.", "Only 2D tensors."),
        ("Static size: must be known", "Static size: must be known"),
        ("false", "no such operator"),
        ("", "no such operator"),
    ],
)  # fmt: skip
def test_a_parsers_message_without_its_condition(text, message):
    assert plain(text) == message


def test_a_failure_is_json():
    failure = Failure("unsupported", "TensorRT can't take it", nodes=[{"index": 1}], hint="cut it")
    assert json.loads(json.dumps(failure.document())) == {
        "kind": "unsupported",
        "message": "TensorRT can't take it",
        "nodes": [{"index": 1}],
        "hint": "cut it",
    }


@pytest.mark.parametrize(
    ("index", "name", "place"),
    [
        (1, "", "node 'relu' (Relu)"),  # as a subgraph that is not supported names its nodes
        (1, "relu", "node 'relu' (Relu)"),
        # TensorRT counts what it has rewritten: the name goes before the number.
        (0, "relu", "node 'relu' (Relu)"),
        (7, "relu", "node 'relu' (Relu)"),
        (-1, "", "node '' (Pad)"),
        (0, "theirs", "node 'theirs' (Pad)"),
    ],
)
def test_the_node_that_tensorrt_speaks_of(index, name, place):
    node = {"index": index, "name": name, "operator": "Pad", "message": "no"}
    failure = {"kind": "unsupported", "message": "it can't", "hint": "", "nodes": [node, node]}
    error = _error(failure, ir.from_onnx_text(SMALL), "m.onnx")
    assert isinstance(error, IllegalForTargetError)
    assert error.message == f"{place}: it can't: no (and 1 more)"
