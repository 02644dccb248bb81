"""Every operator that has a form in torch computes what the ONNX operator tests want."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_backend_cases as backend
import pytest

from lprc.compiler.training.graph_module import GraphModule
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.running.numerics import run
from lprc.core.running.random_inputs import random_inputs
from lprc.core.torch_graph.operators.table import OPERATORS

torch = pytest.importorskip("torch")

CASES = [
    case
    for kind in ("node", "pytorch-converted", "pytorch-operator")
    for case in backend.cases(kind)
    if not case.model.functions
    and case.name != "test_maxpool_2d_uint8"  # -inf, its padding, is a float
    and all(node.op_type in OPERATORS for node in case.model.graph.node)
]
NO_SHIPPED_CASE = {"CastLike", "GRU", "LayerNormalization", "Range", "Upsample"}
"""Their shipped cases are of forms that are refused, or of types that torch lacks."""

FORMS = {
    "CastLike": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2,3] x) => (float[2,3] y) { i = Cast<to = 7>(x) y = CastLike(i, x) }
    """,
    "GRU": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[4,2,3] x, float[2,15,3] w, float[2,15,5] r, float[2,30] b)
          => (float[4,2,2,5] y, float[2,2,5] h) {
          y, h = GRU<hidden_size = 5, direction = "bidirectional", linear_before_reset = 1>(x, w, r, b)
        }
    """,
    "LSTM": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[4,2,3] x, float[2,20,3] w, float[2,20,5] r, float[2,40] b)
          => (float[4,2,2,5] y, float[2,2,5] h, float[2,2,5] c) {
          y, h, c = LSTM<hidden_size = 5, direction = "bidirectional">(x, w, r, b)
        }
    """,
    "LayerNormalization": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2,3,4] x, float[3,4] s, float[3,4] b) => (float[2,3,4] y) {
          y = LayerNormalization<axis = 1, epsilon = 0.001>(x, s, b)
        }
    """,
    "Range": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2,3] x) => (float[2,3] y)
        <float start = {1}, float limit = {4}, float delta = {1}> {
          steps = Range(start, limit, delta)
          y = Mul(x, steps)
        }
    """,
    "Upsample": """
        <ir_version: 4, opset_import: ["" : 9]>
        g (float[1,2,3,4] x) => (float[1,2,6,12] y) <float[4] scales = {1, 1, 2, 3}> {
          y = Upsample(x, scales)
        }
    """,
    "ceil_mode": """
        <ir_version: 8, opset_import: ["" : 19]>
        g (float[1,2,7,8] x) => (float[1,2,n,m] y, float[1,2,n,m] z) {
          y = AveragePool<kernel_shape = [3,3], strides = [2,3], pads = [1,0,1,0], ceil_mode = 1>(x)
          z = MaxPool<kernel_shape = [3,3], strides = [2,3], pads = [1,0,1,0], ceil_mode = 1>(x)
        }
    """,
}


def _variants():
    for case in CASES:
        yield case
        frozen = backend.frozen(case)
        if frozen is not None:
            yield frozen


def _is_known(array):
    """Floats, bools and the integers of shapes and quantisation; torch has few more."""
    names = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool")
    return isinstance(array, np.ndarray) and array.dtype.name in names and array.size > 0


def _verdict(case):
    if not all(_is_known(each) for each in case.inputs.values()):
        return "other kinds of values"
    try:
        module = GraphModule(from_proto(case.model)).eval()
        tensors = {
            name: torch.from_numpy(np.array(array))
            for name, array in case.inputs.items()
            if name in module.inputs
        }
        with torch.no_grad():
            found = module(tensors)
    except (UsageError, InvalidModelError) as error:
        return f"refused: {error.message}"
    assert case.expected is not None
    for name, wanted in zip(module.outputs, case.expected, strict=False):
        got = found[name].numpy()
        np.testing.assert_allclose(
            got.astype(np.float64),
            np.asarray(wanted).astype(np.float64),
            rtol=1e-3,
            atol=1e-4,
            err_msg=case.name,
        )
        assert list(got.shape) == list(np.shape(wanted)), case.name
    return "same"


def test_shipped_operator_tests():
    proven, verdicts = set(), {}
    for case in _variants():
        verdict = _verdict(case)
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
        if verdict == "same":
            proven |= {node.op_type for node in case.model.graph.node}
    assert set(OPERATORS) - proven <= NO_SHIPPED_CASE, sorted(set(OPERATORS) - proven)
    assert verdicts["same"] > 500


@pytest.mark.parametrize("name", FORMS)
def test_forms_without_a_shipped_case(name):
    model = from_proto(onnx.parser.parse_model(FORMS[name]))
    inputs = random_inputs(model, seed=1)
    wanted = run(model, inputs)
    found = GraphModule(model).eval()({key: torch.from_numpy(each) for key, each in inputs.items()})
    for key, array in wanted.items():
        np.testing.assert_allclose(found[key].detach().numpy(), array, rtol=1e-5, atol=1e-5)
