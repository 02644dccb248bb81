from __future__ import annotations

import builtins
import sys

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.errors import InvalidModelError, MissingDependencyError, UsageError
from lprc.core.graph.provenance import origins
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import compare, run
from lprc.core.running.random_inputs import random_inputs

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1,2,4,4] x) => (float[1,2,4,4] y)
<float[2,2,1,1] w = {1, 2, 3, 4}, float[2] s = {1, 2}, float[2] v = {2, 3}> {
    [identity] a = Identity(x)
    [conv] b = Conv(a, w)
    [bn] c = BatchNormalization(b, s, s, s, v)
    [relu] y = Relu(c)
}"""


def apply(pipeline, text=TEXT):
    model = ir.from_onnx_text(text)
    inputs = random_inputs(model)
    before = run(model, inputs)
    (record,) = PassManager(Pipeline.parse(pipeline), [ChangeDetection()]).run(model)
    onnx.checker.check_model(model_io.to_proto(model))
    assert all(delta.within(1e-4) for delta in compare(before, run(model, inputs)))
    return model, record


def test_onnxsim_folds_batch_normalization_and_no_origin_is_lost():
    pytest.importorskip("onnxsim")
    model, record = apply("simplify")
    assert [node.op_type for node in model.graph] == ["Conv", "Relu"]
    found = {name for node in model.graph for name in origins(node)}
    assert found == {"identity", "conv", "bn", "relu"}
    assert [rewrite.note for rewrite in record.rewrites] == ["rewrote the graph"]


def test_what_onnxoptimizer_leaves_to_constant_folding():
    pytest.importorskip("onnxoptimizer")
    model, _ = apply("onnx-optimizer{passes=eliminate_identity,fuse_bn_into_conv}")
    assert "BatchNormalization" not in [node.op_type for node in model.graph]
    PassManager(Pipeline.parse("fold-constants"), [ChangeDetection()]).run(model)
    assert [node.op_type for node in model.graph] == ["Conv", "Relu"]
    found = {name for node in model.graph for name in origins(node)}
    assert found == {"identity", "conv", "bn", "relu"}


@pytest.mark.parametrize(
    ("package", "pipeline"),
    [
        ("onnxsim", "simplify"),
        ("onnxoptimizer", "onnx-optimizer{passes=eliminate_identity}"),
    ],
)
def test_a_second_run_changes_nothing(package, pipeline):
    pytest.importorskip(package)
    model, _ = apply(pipeline)
    (record,) = PassManager(Pipeline.parse(pipeline), [ChangeDetection()]).run(model)
    assert not record.changed


def test_one_named_pass_runs_alone():
    pytest.importorskip("onnxoptimizer")
    model, _ = apply("onnx-optimizer{passes=eliminate_identity}")
    assert [node.op_type for node in model.graph] == ["Conv", "BatchNormalization", "Relu"]


def test_an_unknown_name_lists_the_known_ones():
    pytest.importorskip("onnxoptimizer")
    with pytest.raises(UsageError, match="no pass 'fuse_everything'") as caught:
        apply("onnx-optimizer{passes=fuse_everything}")
    assert "eliminate_identity" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("package", "pipeline"), [("onnxsim", "simplify"), ("onnxoptimizer", "onnx-optimizer")]
)
def test_a_missing_package_is_named_with_its_install_command(monkeypatch, package, pipeline):
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == package:
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=f"needs {package}") as caught:
        apply(pipeline)
    assert caught.value.hint == 'pip install "lprc[simplify]"'
    assert caught.value.where == f"pass '{pipeline}'"


@pytest.mark.parametrize(
    ("package", "function", "pipeline"),
    [("onnxsim", "simplify", "simplify"), ("onnxoptimizer", "optimize", "onnx-optimizer")],
)
def test_a_failure_of_the_package_is_reported(monkeypatch, package, function, pipeline):
    module = pytest.importorskip(package)

    def fail(*_args, **_kwargs):
        raise RuntimeError("no adapter\nC++ stack")

    monkeypatch.setattr(module, function, fail)
    with pytest.raises(InvalidModelError, match=f"{package} fails: no adapter$") as caught:
        apply(pipeline)
    assert caught.value.where == f"pass '{pipeline}'"


def test_onnxsim_runs_no_check_and_prints_nothing(monkeypatch, capfd):
    onnxsim = pytest.importorskip("onnxsim")
    seen = {}
    original = onnxsim.simplify

    def spy(proto, **options):
        seen.update(options)
        return original(proto, **options)

    monkeypatch.setattr(onnxsim, "simplify", spy)
    apply("simplify")
    assert seen["check_n"] == 0
    assert capfd.readouterr() == ("", "")


def test_large_weights_come_back_whole():
    pytest.importorskip("onnxsim")
    proto = onnx.parser.parse_model(TEXT)
    weight = np.random.default_rng(0).standard_normal((600, 600)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "large"))
    proto.graph.node.append(onnx.helper.make_node("MatMul", ["z", "large"], ["big"], "matmul"))
    info = onnx.helper.make_tensor_value_info
    proto.graph.input.append(info("z", onnx.TensorProto.FLOAT, [1, 600]))
    proto.graph.output.append(info("big", onnx.TensorProto.FLOAT, [1, 600]))
    model = ir.from_proto(proto)
    PassManager(Pipeline.parse("simplify"), [ChangeDetection()]).run(model)
    (matmul,) = [node for node in model.graph if node.op_type in ("MatMul", "Gemm")]
    np.testing.assert_array_equal(matmul.inputs[1].const_value.numpy(), weight)


def test_defaults_that_can_be_overridden_are_left_alone():
    pytest.importorskip("onnxsim")
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}, float[2] v = {3, 4}> {
            a = Add(w, v) y = Add(x, a)
        }"""
    )
    (record,) = PassManager(Pipeline.parse("simplify"), [ChangeDetection()]).run(model)
    assert [skip.reason for skip in record.skips] == [
        "initialisers are inputs: freeze-initializers runs first"
    ]
    assert len(model.graph) == 2


def test_what_onnx_runtime_raises_inside_of_onnxsim_is_the_models_error(monkeypatch):
    """Its exceptions derive from no class but Exception."""
    onnxsim = pytest.importorskip("onnxsim")

    class Fail(Exception):
        pass

    def simplify(proto, **_):
        raise Fail("[ONNXRuntimeError] : 1 : FAIL : no such opset\nmore")

    monkeypatch.setattr(onnxsim, "simplify", simplify)
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (float[2] x) => (float[2] y) { y = Relu(x) }'
    )
    with pytest.raises(InvalidModelError, match=r"onnxsim fails: .*no such opset$"):
        PassManager(Pipeline.parse("simplify")).run(model_io.from_proto(proto))
