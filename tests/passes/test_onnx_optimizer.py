"""What onnxoptimizer gets wrong, and the pass keeps it from doing."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.passes.onnx_optimizer import OnnxOptimizer

pytest.importorskip("onnxoptimizer")

RANDOM = {
    "RandomNormal": "RandomNormal<shape = [2,2]>()",
    "RandomUniform": "RandomUniform<shape = [2,2]>()",
    "RandomNormalLike": "RandomNormalLike(x)",
    "RandomUniformLike": "RandomUniformLike(x)",
    "Multinomial": "Multinomial(x)",
    "Bernoulli": "Bernoulli(x)",
}


@pytest.mark.parametrize("op_type", RANDOM)
@pytest.mark.parametrize("pipeline", ["onnx-optimizer", "eliminate-common-subexpressions"])
def test_two_draws_of_random_numbers_stay_two(op_type, pipeline):
    call = RANDOM[op_type]
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[2,2] x) => (float[2,2] y) {{
            a = {call} b = {call} c = Cast<to = 1>(a) d = Cast<to = 1>(b) y = Sub(c, d)
        }}"""
    )
    PassManager(Pipeline.parse(pipeline)).run(model)
    assert [node.op_type for node in model.graph].count(op_type) == 2


def test_calls_of_unknown_operators_stay_two():
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17, "other" : 1]>
        g (float[2] x) => (float[2] y) { a = other.Draw(x) b = other.Draw(x) y = Sub(a, b) }"""
    )
    PassManager(Pipeline.parse("onnx-optimizer")).run(model)
    assert [node.op_type for node in model.graph].count("Draw") == 2


def test_who_asks_for_merging_is_told_why_there_is_none():
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]>
        g () => (float[2] y) {
            a = RandomNormal<shape = [2]>() b = RandomNormal<shape = [2]>() y = Sub(a, b)
        }"""
    )
    (record,) = PassManager(
        Pipeline.parse("onnx-optimizer{passes=eliminate_common_subexpression}")
    ).run(model)
    assert [skip.reason for skip in record.skips] == [
        "eliminate_common_subexpression would merge random numbers"
    ]
    assert len(model.graph) == 3


def test_squeezes_of_negative_axes_keep_their_meaning(rewrite):
    found = rewrite(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,1] x) => (float[3] y) <int64[1] last = {-1}, int64[1] first = {0}> {
            a = Squeeze(x, last) y = Squeeze(a, first)
        }""",
        OnnxOptimizer(),
    )
    assert found.ops == ["Squeeze", "Squeeze"]
