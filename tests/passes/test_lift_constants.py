from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.passes.lift_constants import LiftConstants

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'


@pytest.mark.parametrize(
    ("attribute", "value", "dtype", "cast"),
    [
        ("value = float[2] {1, 4}", [1, 4], np.float32, ""),
        ("value = int64 {7}", 7, np.int64, "Cast<to = 1>"),
        ("value_float = 1.5", 1.5, np.float32, ""),
        ("value_floats = [1.0, 2.0]", [1, 2], np.float32, ""),
        ("value_int = 3", 3, np.int64, "Cast<to = 1>"),
        ("value_ints = [3, 4]", [3, 4], np.int64, "Cast<to = 1>"),
    ],
)
def test_every_dense_form_becomes_an_initialiser_of_the_same_name(
    rewrite, attribute, value, dtype, cast
):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y) {{
            c = Constant<{attribute}>()
            d = {cast or "Identity"}(c)
            y = Add(x, d)
        }}""",
        LiftConstants(),
    )
    array = done.model.graph.initializers["c"].const_value.numpy()
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, value)
    assert "Constant" not in done.ops


@pytest.mark.parametrize("attribute", ['value_string = "a"', 'value_strings = ["a", "b"]'])
def test_strings_become_initialisers(rewrite, attribute):
    done = rewrite(
        f"""{HEADER}
        g (string[2] x) => (bool[2] y) {{ c = Constant<{attribute}>() y = Equal(x, c) }}""",
        LiftConstants(),
    )
    assert done.ops == ["Equal"]


def test_a_graph_output_stays(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y, float[2] c) {{
            c = Constant<value_floats = [1.0, 4.0]>()
            y = Add(x, c)
        }}""",
        LiftConstants(),
    )
    assert done.reasons == ["is a graph output"]


def test_a_constant_in_a_subgraph_becomes_an_initialiser_there(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) {{
            y = If (c) <
                then_branch = t () => (float[2] a) {{
                    one = Constant<value_float = 1.0>()
                    a = Add(x, one)
                }},
                else_branch = e () => (float[2] b) {{ b = Constant<value_floats = [1.0, 2.0]>() }}
            >
        }}""",
        LiftConstants(),
    )
    branch = done.node("If").attributes["then_branch"].as_graph()
    assert list(branch.initializers) == ["one"]
    assert done.reasons == ["is a graph output"]


def test_ir_version_3_is_raised():
    model = ir.from_onnx_text(
        """<ir_version: 3, opset_import: ["" : 11]>
        g (float[2] x) => (float[2] y) { c = Constant<value = float[2] {1, 4}>() y = Add(x, c) }"""
    )
    PassManager(Pipeline.parse("lift-constants"), [ChangeDetection()]).run(model)
    onnx.checker.check_model(model_io.to_proto(model))
    assert model.ir_version == 4
