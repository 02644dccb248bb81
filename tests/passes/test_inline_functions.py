from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph.provenance import origins
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run

HEADER = '<ir_version: 9, opset_import: ["" : 20, "local" : 1]>'


def inline(text):
    model = ir.from_onnx_text(text)
    (record,) = PassManager(Pipeline.parse("inline-functions"), [ChangeDetection()]).run(model)
    onnx.checker.check_model(model_io.to_proto(model))
    return model, record


FUNCTIONS = """
<domain: "local", opset_import: ["" : 20, "local" : 1]>
twice (a) => (b) { t = local.scaled<by = 2.0>(a) b = Add(t, t) }
<domain: "local", opset_import: ["" : 20]>
scaled <by: float = 1.0> (a) => (b) {
    f = Constant<value_float: float = @by>()
    b = Mul(a, f)
}
"""


def test_nested_calls_are_inlined_and_come_from_the_call():
    text = f"""{HEADER}
    g (float[2] x) => (float[2] y) {{
        [first] a = local.twice(x)
        [second] y = local.twice(a)
    }}{FUNCTIONS}"""
    inputs = {"x": np.array([1, -2], np.float32)}
    before = run(ir.from_onnx_text(text), inputs)
    model, record = inline(text)
    np.testing.assert_array_equal(run(model, inputs)["y"], before["y"])
    assert not model.functions
    assert [node.op_type for node in model.graph] == ["Constant", "Mul", "Add"] * 2
    assert [origins(node) for node in model.graph] == [("first",)] * 3 + [("second",)] * 3
    assert len({node.name for node in model.graph}) == 6
    assert [rewrite.note for rewrite in record.rewrites] == ["inlined 2 functions"]


def test_names_in_subgraphs_are_not_taken_twice():
    text = f"""{HEADER}
    g (bool c, float[2] x) => (float[2] y) {{
        a = local.named(x)
        y = If (c) <
            then_branch = p () => (float[2] q) {{ t = Neg(a) q = Neg(t) }},
            else_branch = r () => (float[2] s) {{ s = local.named(a) }}
        >
    }}
    <domain: "local", opset_import: ["" : 20]>
    named (a) => (b) {{ t = Sqrt(a) b = Neg(t) }}
    """
    model, _ = inline(text)
    names = [value.name for node in model.graph.all_nodes() for value in node.outputs]
    assert len(names) == len(set(names))


def test_a_model_without_functions_stays():
    _, record = inline(f"{HEADER} g (float[2] x) => (float[2] y) {{ y = Neg(x) }}")
    assert not record.changed


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            '<domain: "local", opset_import: ["" : 17]> f (a) => (b) { b = Neg(a) }',
            "function 'f' is written for another opset than the model",
        ),
        (
            '<domain: "local", opset_import: ["" : 20, "local" : 1]> f (a) => (b) '
            "{ b = local.f(a) }",
            "functions call each other in a circle",
        ),
    ],
)
def test_what_can_not_be_inlined_stays(function, reason):
    text = f"{HEADER} g (float[2] x) => (float[2] y) {{ y = local.f(x) }} {function}"
    model = ir.from_onnx_text(text)
    (record,) = PassManager(Pipeline.parse("inline-functions"), [ChangeDetection()]).run(model)
    assert not record.changed
    assert [skip.reason for skip in record.skips] == [reason]
    assert len(model.functions) == 1
