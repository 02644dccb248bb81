from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph import shapes, vendor_inference
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'


def infer(model):
    model = ir.from_onnx_text(f"{HEADER}\n{model}") if isinstance(model, str) else model
    (record,) = PassManager(Pipeline.parse("infer-shapes"), [ChangeDetection()]).run(model)
    return model, record


def shape(model, name):
    (value,) = [v for n in model.graph.all_nodes() for v in n.outputs if v.name == name]
    if value.shape is None:
        return None
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]


def test_shapes_and_types_are_written_once():
    text = "g (float[N, 4] x) => (float[N, 4] y) { a = Relu(x) s = Shape(a) y = Neg(a) }"
    model, record = infer(text)
    assert shape(model, "a") == ["N", 4]
    assert model.graph[1].outputs[0].dtype == ir.DataType.INT64
    assert len(record.rewrites) == 1
    _, record = infer(model)
    assert not record.changed


def test_shape_arithmetic_is_followed():
    model, _ = infer(
        """g (float[2, 3, 4] x) => (float[A, B] y) <int64[1] minus = {-1}> {
            s = Shape<end = 1>(x)
            t = Concat<axis = 0>(s, minus)
            r = Reshape(x, t)
            y = Relu(r)
        }"""
    )
    assert shape(model, "r") == [2, 12]


def test_what_is_known_is_not_replaced_by_less():
    model = ir.from_onnx_text(
        f"""{HEADER} g (float[N, 4] x, int64[2] s) => (float[A, B] y)
        <float[2, 8] known> {{ known = Reshape(x, s) y = Relu(known) }}"""
    )
    model, _ = infer(model)
    assert shape(model, "known") == [2, 8]


def test_a_contradiction_in_the_file_does_not_stop_it():
    model = ir.from_onnx_text(
        f"""{HEADER} g (float[2, 4] x) => (float[2, 4] y)
        <float[3, 5] a> {{ a = Relu(x) b = Neg(a) y = Abs(b) }}"""
    )
    model, _ = infer(model)
    assert shape(model, "a") == [3, 5]
    assert shape(model, "b") is not None


def test_the_legacy_max_pool_of_lprnet_does_not_stop_it():
    model, record = infer(
        """g (float[1,4,6,6] x) => (float[1,2,4,4] y) {
            a = Relu(x)
            p = MaxPool<kernel_shape = [1, 3, 3], strides = [2, 1, 1]>(a)
            y = Relu(p)
        }"""
    )
    assert shape(model, "a") == [1, 4, 6, 6]
    assert record.changed


def test_an_operator_of_another_domain_does_not_stop_it():
    model, _ = infer(
        ir.from_onnx_text(
            """<ir_version: 9, opset_import: ["" : 20, "custom" : 1]>
            g (float[2] x) => (float[2] y) { a = Relu(x) b = custom.Foo(a) y = Neg(b) }"""
        )
    )
    assert shape(model, "a") == [2]
    assert shape(model, "b") is None


def test_a_failure_of_the_inference_leaves_the_graph_alone(monkeypatch):
    def fail(*_args, **_kwargs):
        raise onnx.shape_inference.InferenceError("Add: no\nmore")

    monkeypatch.setattr(vendor_inference, "infer_shapes", fail)
    _, record = infer("g (float[2] x) => (float[2] y) { a = Neg(x) y = Relu(a) }")
    assert not record.changed
    assert [skip.reason for skip in record.skips] == ["inference failed: Add: no"]


def test_a_graph_that_contradicts_itself_does_not_stop_it():
    model, record = infer(
        "g (float[2, 4] x, float[3, 5] z) => (float[2, 5] y) { n = Neg(x) a = MatMul(n, z) y = Relu(a) }"
    )
    assert shape(model, "n") == [2, 4]
    assert record.changed


def test_subgraphs_are_inferred():
    model, _ = infer(
        """g (bool c, float[2] x) => (float[2] y) {
            y = If (c) <
                then_branch = t () => (float[2] a) { p = Neg(x) a = Relu(p) },
                else_branch = e () => (float[2] b) { b = Neg(x) }
            >
        }"""
    )
    assert shape(model, "p") == [2]


@pytest.mark.parametrize("overridable", [True, False])
def test_large_weights_are_not_copied(overridable):
    proto = onnx.parser.parse_model(
        f"{HEADER} g (float[1000] x{', float[1000] w' if overridable else ''}) "
        "=> (float[1000] y) { a = Add(x, w) y = Relu(a) }"
    )
    weight = np.arange(1000, dtype=np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    model = ir.from_proto(proto)
    assert shapes.skeleton(model).ByteSize() < weight.nbytes
    model, _ = infer(model)
    assert shape(model, "a") == [1000]
    np.testing.assert_array_equal(model.graph.initializers["w"].const_value.numpy(), weight)
