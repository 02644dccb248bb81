from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from lprc.core.onnx_io import model_io
from lprc.core.passing.pass_base import PassContext
from lprc.passes.freeze_initializers import FreezeInitializers

TEXT = """<ir_version: 3, opset_import: ["" : 11]>
g (float[2] x, float[2] a, float[2] b) => (float[2] y) <float[2] a = {1, 4}, float[2] b = {2, 3}> {
    s = Add(x, a)
    y = Mul(s, b)
}"""


def test_initialisers_are_no_inputs_any_more(rewrite):
    done = rewrite(TEXT, FreezeInitializers())
    assert [value.name for value in done.model.graph.inputs] == ["x"]
    assert list(done.model.graph.initializers) == ["a", "b"]
    assert [rewrite.note for rewrite in done.context.rewrites] == ["froze a", "froze b"]
    # Before version 4 every initialiser had to be an input.
    assert done.model.ir_version == 4


def test_inputs_without_initialisers_stay(rewrite):
    done = rewrite(
        """<ir_version: 9, opset_import: ["" : 20]>
        g (float[2] x, float[2] z) => (float[2] y) <float[2] a = {1, 4}> {
            s = Add(x, a)
            y = Mul(s, z)
        }""",
        FreezeInitializers(),
    )
    assert not done.context.rewrites


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_rewrite_limit_is_kept(limit):
    model = ir.from_onnx_text(TEXT)
    FreezeInitializers().run(model, PassContext(rewrite_limit=limit))
    assert len(model.graph.inputs) == 3 - limit
    onnx.checker.check_model(model_io.to_proto(model))
