"""Shape inference in another process says what it says here, and may crash there."""

from __future__ import annotations

import onnx
import pytest

from lprc.core.graph import vendor_inference
from lprc.core.process.warm_child import VENDOR, ChildError
from lprc.core.process.worker import WorkerError

GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 3] x) => (y) { a = Relu(x)  [second] b = Transpose<perm = [1, 0]>(a)  y = Neg(b) }
"""


def test_it_is_onnxs_own():
    proto = onnx.parser.parse_model(GRAPH)
    for how in ({}, {"check_type": True, "strict_mode": True, "data_prop": True}):
        given = vendor_inference.infer_shapes(proto, **how)
        assert given == onnx.shape_inference.infer_shapes(proto, **how)


def test_a_contradiction_is_onnxs_error():
    proto = onnx.parser.parse_model(GRAPH.replace("perm = [1, 0]", "perm = [1, 5]"))
    with pytest.raises(onnx.shape_inference.InferenceError, match="second"):
        vendor_inference.infer_shapes(proto, strict_mode=True)


def test_a_crash_is_told_of_by_its_node(monkeypatch):
    """There is no graph that crashes onnx today: a stand-in ends where it meets the node."""
    call = VENDOR.call

    def crashing(function, data, *how, limit=None):
        if b"second" in data:
            raise ChildError("crashed (SIGSEGV)", expired=False)
        return call(function, data, *how, limit=limit)

    monkeypatch.setattr(VENDOR, "call", crashing)
    with pytest.raises(WorkerError, match=r"ONNX shape inference crashed \(SIGSEGV\)") as caught:
        vendor_inference.infer_shapes(onnx.parser.parse_model(GRAPH))
    assert caught.value.where == "node 'second' (Transpose)"
