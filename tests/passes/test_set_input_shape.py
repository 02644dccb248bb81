"""Shapes of inputs that are written into the graph; what no case can show."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from lprc.core.errors import UsageError
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run

FIXED_BATCH = """<ir_version: 9, opset_import: ["" : 20]>
g (float[1,2,N] x) => (float[1,?] y) <int64[2] t = {1,-1}> {
    [relu] a = Relu(x) [reshape] y = Reshape(a, t) }"""


def rewritten(text, pipeline):
    model = ir.from_onnx_text(text)
    PassManager(Pipeline.parse(pipeline)).run(model)
    return model


def test_a_fixed_batch_becomes_another_one_where_the_graph_follows():
    model = rewritten(FIXED_BATCH, "infer-shapes,set-input-shape{shapes=4x2x3}")
    assert [list(value.shape) for value in (*model.graph.inputs, *model.graph.outputs)] == [
        [4, 2, 3],
        [4, 6],
    ]
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype(np.float32)
    rows = [run(ir.from_onnx_text(FIXED_BATCH), {"x": row[None]})["y"] for row in x]
    assert np.array_equal(run(model, {"x": x})["y"], np.concatenate(rows))


@pytest.mark.parametrize("text", ["x", "x:", "x:0x3", "x:1,3", "x:-1x3", "x:1x"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(UsageError, match="is not a shape, such as image:1x3x640x640"):
        Pipeline.parse(f'set-input-shape{{shapes="{text}"}}')


def test_names_may_have_colons():
    text = FIXED_BATCH.replace("x)", "i__0)")
    model = ir.from_onnx_text(text)
    model.graph.inputs[0].name = "i:0"
    PassManager(Pipeline.parse("set-input-shape{shapes=i:0:1x2x7}")).run(model)
    assert list(model.graph.inputs[0].shape) == [1, 2, 7]
