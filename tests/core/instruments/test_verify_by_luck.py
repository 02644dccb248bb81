"""A wrong pass is caught where one set of inputs of one scale would let it through."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
import pytest

from lprc.core.errors import PromiseBrokenError
from lprc.core.instruments.verify import Verify
from lprc.core.passing.contract import approximate, exact
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pipeline import Pipeline

CLIP = """<ir_version: 9, opset_import: ["" : 20]>
g (float[2,3] x) => (float[2,3] y) <float least = {%s}, float most = {%s}>
{ y = Clip(x, least, most) }"""

CHANNELS = """<ir_version: 9, opset_import: ["" : 20]>
g (float[1,2,8] x) => (float[1,2,8] y) <float[2,1] w = {%s, 100.0}> { y = Mul(x, w) }"""

TINY = """<ir_version: 9, opset_import: ["" : 20]>
g (float[2,3] x) => (float[2,3] y) <float w = {%s}> { y = Mul(x, w) }"""


def replaced(text: str, contract=exact) -> Pass:
    """A pass that puts another graph's constants in the place of the graph's."""

    def body(self, model: ir.Model, context: PassContext) -> None:
        if context.rewrite(model.graph[0], "changed"):
            for name, value in ir.from_onnx_text(text).graph.initializers.items():
                model.graph.initializers[name].const_value = value.const_value

    parts = {"name": "replace", "contract": contract, "run": body, "__doc__": "replace"}
    return dataclass(frozen=True)(type("Replaced", (Pass,), parts))()


def verified(before: str, after: str, mode="final", contract=exact) -> Verify:
    verify = Verify(mode)
    passes = Pipeline((replaced(after, contract),))
    PassManager(passes, [verify]).run(ir.from_onnx_text(before))
    return verify


@pytest.mark.parametrize("mode", ["final", "each"])
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (CLIP % (-50, 50), CLIP % (-5, 5), "on large inputs y"),
        (CHANNELS % 1e-4, CHANNELS % 0, "one channel by 1 of its own"),
        (TINY % 1e-9, TINY % 0, "y: max"),
    ],
    ids=["only for large ones", "a small channel", "all is small"],
)
def test_it_is_caught(mode, before, after, said):
    with pytest.raises(PromiseBrokenError, match=said) as caught:
        verified(before, after, mode)
    assert caught.value.where == "pass 'replace'"
    assert caught.value.pass_name == "replace"


def test_a_right_pass_is_not():
    for text in (CLIP % (-50, 50), CHANNELS % 1e-4, TINY % 1e-9):
        assert not verified(text, text).remarks


def test_other_kinds_of_inputs_judge_exact_passes_alone():
    assert verified(CLIP % (-50, 50), CLIP % (-5, 5), contract=approximate(1e-3)).deltas


def test_an_output_that_says_nothing_is_not_judged():
    warning = "output 'y' was not judged: it is 0 everywhere, on all inputs"
    assert verified(TINY % 0, TINY % 0).remarks == [warning]
    # It is no constant where one kind of inputs brings it to life.
    assert not verified(CLIP % (3.5, 50), CLIP % (3.5, 50)).remarks


def test_a_constant_of_the_graph_is_judged():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[2,3] x) => (float[2,3] y, float[2] anchors) <float[2] a = {%s, 1.0}>
    { y = Relu(x)  anchors = Identity(a) }"""
    assert not verified(text % 1, text % 1).remarks
    with pytest.raises(PromiseBrokenError, match="anchors"):
        verified(text % 1, text % 2)


CRASHING = """<ir_version: 8, opset_import: ["" : 13]>
g (int32[3] x) => (int32[3] z)
{ a = Neg(x)  [guilty] b = Max(a, x, "")  z = Add(b, b) }"""


def test_a_source_that_crashes_onnx_runtime_is_told_of():
    verify = Verify()
    PassManager(Pipeline(()), [verify]).run(ir.from_onnx_text(CRASHING))
    assert verify.failure is not None
    assert "crashed (SIG" in str(verify.failure)
    assert "'guilty' (Max)" in str(verify.failure)


def test_it_is_caught_in_graphs_that_are_stored_in_files(monkeypatch):
    """The graph in front of several passes stays while those between them come and go."""
    for module in ("onnx_io.model_io", "instruments.graph_store"):
        monkeypatch.setattr(f"lprc.core.{module}.PROTOBUF_LIMIT", 5)
    passes = Pipeline(tuple(replaced(CLIP % (-5, 5)) for _ in range(3)))
    with pytest.raises(PromiseBrokenError, match=r"3 passes together: .*on large inputs y"):
        PassManager(passes, [Verify("each")]).run(ir.from_onnx_text(CLIP % (-50, 50)))
