from __future__ import annotations

import builtins
import sys

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.errors import InvalidModelError, MissingDependencyError
from lprc.core.graph.provenance import origins, stamp
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.onnx_io import model_io
from lprc.core.passing.adapters import graphsurgeon_pass, onnx_pass
from lprc.core.passing.contract import approximate, exact
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run

TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
    [first] a = Identity(x)
    [second] b = Mul(a, w)
    [third] c = Neg(b)
    [fourth] y = Relu(c)
}"""


def apply(pass_class, model):
    (record,) = PassManager(Pipeline((pass_class(),)), [ChangeDetection()]).run(model)
    return record


def by_type(model):
    return {node.op_type: origins(node) for node in model.graph}


def drop_identity(proto):
    """Take the Identity out."""
    del proto.graph.node[0]
    proto.graph.node[0].input[0] = "x"
    for node in proto.graph.node:
        del node.metadata_props[:]
    return proto


def fuse(proto):
    """Make one new node of Identity, Mul and Neg."""
    del proto.graph.node[:3]
    proto.graph.initializer.append(
        onnx.numpy_helper.from_array(np.array([-1, -2], np.float32), "minus_w")
    )
    proto.graph.node.insert(0, onnx.helper.make_node("Mul", ["x", "minus_w"], ["c"], "fused"))
    return proto


def split(proto):
    """Put new nodes, with new names, in front of the Relu."""
    relu = proto.graph.node[3]
    proto.graph.node.insert(3, onnx.helper.make_node("Abs", ["c"], ["fresh"], "abs"))
    proto.graph.node.insert(4, onnx.helper.make_node("Sub", ["fresh", "fresh"], ["zero"], "zero"))
    proto.graph.node.insert(5, onnx.helper.make_node("Add", ["c", "zero"], ["same"], "same"))
    relu = proto.graph.node[6]
    relu.input[0] = "same"
    return proto


def test_a_pass_over_a_model_proto():
    made = onnx_pass("drop-identity", drop_identity, approximate(0.5))
    assert (made.name, made.contract) == ("drop-identity", approximate(0.5))
    assert made.__doc__ == "Take the Identity out."
    model = ir.from_onnx_text(TEXT)
    before = run(model, {"x": np.ones(2, np.float32)})
    record = apply(made, model)
    assert record.changed
    np.testing.assert_array_equal(run(model, {"x": np.ones(2, np.float32)})["y"], before["y"])
    # The Identity became part of what used it.
    assert by_type(model) == {
        "Mul": ("second", "first"),
        "Neg": ("third",),
        "Relu": ("fourth",),
    }


def test_a_fused_node_comes_from_all_that_it_replaced():
    model = ir.from_onnx_text(TEXT)
    apply(onnx_pass("fuse", fuse), model)
    assert by_type(model) == {"Mul": ("first", "second", "third"), "Relu": ("fourth",)}


def test_new_nodes_come_from_what_they_feed():
    model = ir.from_onnx_text(TEXT)
    apply(onnx_pass("split", split), model)
    assert {op: found for op, found in by_type(model).items() if op in ("Abs", "Sub", "Add")} == {
        "Abs": ("fourth",),
        "Sub": ("fourth",),
        "Add": ("fourth",),
    }


def test_unchanged_is_said_truthfully():
    assert not apply(onnx_pass("nothing", lambda proto: proto), ir.from_onnx_text(TEXT)).changed


def test_a_rewrite_limit_of_none_changes_nothing():
    model = ir.from_onnx_text(TEXT)
    stamp(model)
    before = model_io.to_bytes(model)
    onnx_pass("drop-identity", drop_identity)().run(model, PassContext(rewrite_limit=0))
    assert model_io.to_bytes(model) == before


def test_an_invalid_result_is_refused():
    def break_it(proto):
        proto.graph.node[1].input[0] = "nowhere"
        return proto

    with pytest.raises(InvalidModelError, match="nowhere"):
        apply(onnx_pass("break", break_it), ir.from_onnx_text(TEXT))


def test_another_signature_is_refused():
    def rename(proto):
        proto.graph.node[3].output[0] = proto.graph.output[0].name = "z"
        return proto

    with pytest.raises(InvalidModelError, match="other inputs or outputs") as caught:
        apply(onnx_pass("rename", rename), ir.from_onnx_text(TEXT))
    assert caught.value.where == "result of pass 'rename'"


def test_a_pass_over_a_graphsurgeon_graph():
    pytest.importorskip("onnx_graphsurgeon")

    def bypass(graph):
        """Let Mul use the input."""
        graph.nodes[1].inputs[0] = graph.inputs[0]

    made = graphsurgeon_pass("bypass", bypass)
    assert made.contract == exact
    model = ir.from_onnx_text(TEXT)
    assert apply(made, model).changed
    assert model.ir_version == 9
    assert by_type(model) == {
        "Mul": ("second", "first"),
        "Neg": ("third",),
        "Relu": ("fourth",),
    }


def test_a_graphsurgeon_pass_that_changes_nothing():
    pytest.importorskip("onnx_graphsurgeon")
    assert not apply(
        graphsurgeon_pass("same", lambda graph: graph), ir.from_onnx_text(TEXT)
    ).changed


def test_graphsurgeon_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "onnx_graphsurgeon", raising=False)
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "onnx_graphsurgeon":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match="needs onnx-graphsurgeon") as caught:
        apply(graphsurgeon_pass("same", lambda graph: graph), ir.from_onnx_text(TEXT))
    assert caught.value.hint == 'pip install "lprc[simplify]"'


def test_a_model_over_2_gib_stays(monkeypatch):
    monkeypatch.setattr("lprc.core.passing.adapters.PROTOBUF_LIMIT", 4)
    record = apply(onnx_pass("drop-identity", drop_identity), ir.from_onnx_text(TEXT))
    assert [skip.reason for skip in record.skips] == [
        "larger than the 2 GiB that a ModelProto can be"
    ]
