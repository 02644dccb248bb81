"""The steps that rewrites are made of keep graphs valid."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph import editing


def graph_of(text: str) -> ir.Graph:
    return ir.from_onnx_text(f'<ir_version: 9, opset_import: ["" : 20]>\n{text}').graph


def check(graph: ir.Graph) -> None:
    onnx.checker.check_model(ir.to_proto(ir.Model(graph, ir_version=9)), full_check=True)


def ops(graph: ir.Graph) -> list[str]:
    return [node.op_type for node in graph]


def test_replaced_graph_output_keeps_its_name():
    graph = graph_of("g (float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }")
    relu, neg = graph
    editing.replace_value(neg.outputs[0], relu.outputs[0])
    editing.remove_dead([neg])
    assert ops(graph) == ["Relu"]
    assert graph.outputs[0].name == "y"
    check(graph)


@pytest.mark.parametrize(
    "body",
    [
        "g (float[2] x) => (float[2] y) { y = Neg(x) }",  # an input can't be an output
        "g (float[2] x) => (float[2] z, float[2] y) { z = Relu(x) y = Neg(z) }",  # two outputs
    ],
)
def test_public_values_never_collapse(body):
    graph = graph_of(body)
    old = graph.outputs[-1]
    neg = old.producer()
    editing.replace_value(old, neg.inputs[0])
    editing.remove_dead([neg])
    assert "Identity" in ops(graph)
    assert "Neg" not in ops(graph)
    assert graph.outputs[-1].name == "y"
    check(graph)


def test_an_overridable_initialiser_is_no_constant():
    graph = graph_of(
        "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1,2}, float[2] c = {3,4}> { a = Add(x, w) y = Add(a, c) }"
    )
    assert editing.constant(graph.initializers["w"]) is None
    np.testing.assert_array_equal(editing.constant(graph.initializers["c"]), [3, 4])


def test_constant_sees_constant_nodes_and_scalars():
    graph = graph_of(
        "g (float[2] x) => (float[2] y) { c = Constant<value_float = 2.5>() y = Mul(x, c) }"
    )
    assert editing.scalar(graph[1].inputs[1]) == 2.5


def test_remove_dead_takes_what_only_the_dead_kept_alive():
    graph = graph_of(
        "g (float[2] x) => (float[2] y) <float[2] w = {1,2}> { a = Add(x, w) b = Neg(a) y = Relu(x) }"
    )
    editing.remove_dead([graph[1]])
    assert ops(graph) == ["Relu"]
    assert not graph.initializers
    check(graph)


def test_remove_dead_keeps_what_a_subgraph_uses():
    graph = graph_of("""
        g (float[2] x, bool c) => (float[2] y) {
            a = Neg(x)
            y = If (c) <
                then_branch = t () => (float[2] p) { p = Relu(a) },
                else_branch = e () => (float[2] q) { q = Abs(x) }
            >
        }""")
    editing.remove_dead([graph[0]])
    assert ops(graph) == ["Neg", "If"]


def test_fresh_names_are_unique_over_subgraphs():
    graph = graph_of("""
        g (float[2] x, bool c) => (float[2] y) {
            y = If (c) <
                then_branch = t () => (float[2] p) { p = Relu(x) },
                else_branch = e () => (float[2] q) { q = Abs(x) }
            >
        }""")
    model = ir.Model(graph, ir_version=9)
    editing.share_names(model)
    inner = next(iter(graph.subgraphs()))
    names = [editing.fresh_name(each, "p") for each in (graph, inner, graph)]
    assert names == ["p_1", "p_2", "p_3"]


def test_new_node_inherits_origins():
    graph = graph_of("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    graph[0].name = "neg"
    value = editing.new_node(
        "Relu", [graph.inputs[0]], before=graph[0], sources=[graph[0]], shape=[2]
    )
    node = value.producer()
    assert node.metadata_props["lprc.origin"] == '["neg"]'
    assert (value.dtype, value.shape) == (ir.DataType.FLOAT, ir.Shape([2]))


def test_shapes_are_known_or_none():
    graph = graph_of("g (float[N,3] x, float[2,3] z) => (float y) { y = ReduceSum(x) }")
    x, z = graph.inputs
    assert editing.static_shape(x) is None
    assert editing.static_shape(z) == (2, 3)
    assert (editing.dimension(x, 0), editing.dimension(x, -1), editing.dimension(x, 5)) == (
        None,
        3,
        None,
    )
    assert (editing.rank(x), editing.rank(ir.Value(name="v"))) == (2, None)
