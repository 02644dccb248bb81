from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_cnn import networks

from lprc.core.errors import PromiseBrokenError, UsageError
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes import extract as extract_module
from lprc.passes.extract import Extract

TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,2] x, float[N,2] z) => (float[N,2] y) <float[2] w = {1,2}> {
    [one] a = Relu(x)
    [two] b = Mul(a, w)
    [three] c = Add(b, z)
    [four] y = Exp(c)
}"""


def network(text: str = TEXT) -> ir.Model:
    return model_io.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"inputs": ("twoo",)}, "no tensor and no node is called 'twoo'", "did you mean 'two'?"),
        ({"outputs": ("q",)}, "no tensor and no node is called 'q'", "shows the names"),
        ({"inputs": ("b",)}, "the outputs need input 'z' besides", "add z, or cut behind it"),
        ({"inputs": ("x", "z"), "outputs": ("b",)}, r"no output \('b'\) needs 'z'", "leave it out"),
        ({"inputs": ("b", "z"), "outputs": ("b",)}, "'b' is computed by no node of the part", ""),
        ({"outputs": ("x",)}, "'x' is computed by no node of the part", ""),
    ],
)
def test_what_can_not_be_cut_is_refused(options, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        apply_pass(network(), Extract(**options))
    assert hint in (caught.value.hint or "")


def test_a_node_that_reads_constants_only_is_no_beginning():
    model = network("""<ir_version: 9, opset_import: ["" : 20]>
        g (float[2] x) => (float[2] y) <float[2] w = {1,2}> {
            [one] a = Neg(w) [two] y = Add(x, a) }""")
    with pytest.raises(UsageError, match="reads no tensor that is not constant"):
        apply_pass(model, Extract(inputs=("one",)))


def test_a_tensor_of_unknown_shape_is_refused():
    model = network("""<ir_version: 9, opset_import: ["" : 20, "other" : 1]>
        g (float[2] x) => (float[2] y) { [one] a = other.Odd(x) [two] y = Relu(a) }""")
    with pytest.raises(UsageError, match="the type and shape of 'a' are not known"):
        apply_pass(model, Extract(inputs=("a",)))


def test_source_names_and_quoted_ones_are_taken():
    proto = onnx.parser.parse_model(TEXT)
    proto.graph.node[1].name = "block 1/mul, first"
    model = model_io.from_proto(onnx.shape_inference.infer_shapes(proto))
    (item,) = Pipeline.parse('extract{outputs="block 1/mul, first"}').passes
    apply_pass(model, item)
    assert [value.name for value in model.graph.outputs] == ["b"]


def fits(model: ir.Model, item: Extract) -> bool:
    try:
        item.translation(model)
    except UsageError:
        return False
    return True


@settings(max_examples=25, deadline=None)
@given(proto=networks(), data=st.data())
def test_every_part_computes_what_the_whole_did_there(proto, data):
    model = model_io.from_proto(onnx.shape_inference.infer_shapes(proto))
    names = [str(value.name) for node in model.graph for value in node.outputs]
    end = data.draw(st.sampled_from(names))
    begin = data.draw(st.sampled_from([None, *names]))
    item = Extract(inputs=() if begin is None else (begin,), outputs=(end,))
    assume(fits(model, item))
    verify = Verify("each", inputs=[random_inputs(model, seed=1, batch=2)])
    PassManager(Pipeline((item,)), [verify]).run(model)
    assert [value.name for value in model.graph.outputs] == [end]
    assert begin is None or [value.name for value in model.graph.inputs] == [begin]
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)


def test_verification_compares_the_part_with_the_whole(monkeypatch):
    def wrong(self, graph: ir.Graph) -> None:
        right(self, graph)
        node = next(node for node in graph if node.op_type == "Exp")
        node.op_type = "Relu"

    right = extract_module.Cut.apply
    monkeypatch.setattr(extract_module.Cut, "apply", wrong)
    with pytest.raises(PromiseBrokenError, match="extract"):
        PassManager(Pipeline.parse("extract{inputs=b,z}"), [Verify("final")]).run(network())


def test_samples_follow_the_cut_into_later_passes():
    """insert-qdq behind calibrate sees the ranges of what flows there."""
    model = network("""<ir_version: 9, opset_import: ["" : 20]>
        g (float[1,1,2,2] x) => (float[1,1,2,2] y) <float[1,1,1,1] w = {2}, float hundred = {100}> {
            [one] a = Mul(x, hundred) [two] y = Conv(a, w) }""")
    samples = [{"x": np.full((1, 1, 2, 2), 1 + seed, np.float32)} for seed in range(8)]
    PassManager(
        Pipeline.parse("extract{inputs=a},calibrate{method=min-max}"), calibration=samples
    ).run(model)
    assert model.graph.inputs[0].metadata_props["lprc.range"] == "[0.0, 800.0]"
    assert run(model, {"a": np.ones((1, 1, 2, 2), np.float32)})["y"].ravel()[0] == 2
