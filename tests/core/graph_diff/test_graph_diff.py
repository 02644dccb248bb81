"""Models are compared by what they compute: matching survives renaming, reordering, insertion."""

from __future__ import annotations

import time

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lprc.core.graph.provenance import set_origins, stamp
from lprc.core.graph_diff.compare import diff_models
from lprc.core.graph_diff.result import GraphDifference

HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'


def model(body: str, signature: str = "(float[N,4] x) => (float[N,4] y)") -> ir.Model:
    return ir.from_onnx_text(f"{HEAD}g {signature} {body}")


def diff(before: str, after: str, **kwargs) -> GraphDifference:
    return diff_models(model(before, **kwargs), model(after, **kwargs))


def names(changes) -> list[str]:
    return [change.node.name for change in changes]


def renamed(source: ir.Model) -> ir.Model:
    """The same under other names: nodes, values and initialisers, but not inputs and outputs."""
    public = {value.name for value in (*source.graph.inputs, *source.graph.outputs)}
    for number, node in enumerate(source.graph):
        node.name = f"other_{number}"
        for value in node.outputs:
            if value.name not in public:
                value.name = f"other_{value.name}"
    for value in list(source.graph.initializers.values()):
        value.name = f"other_{value.name}"
    return source


def layers(seeds: list[int], *, op: str = "MatMul", first: str = "x") -> str:
    """A chain of operators with weights of their own, auto-numbered as exporters do."""
    weights, lines, value = [], [], first
    for number, seed in enumerate(seeds):
        out = "y" if number == len(seeds) - 1 else f"v{number}"
        numbers = np.random.default_rng(seed).integers(-9, 9, 16)
        weights.append(f"float[4,4] w{number} = {{{','.join(map(str, numbers))}}}")
        lines.append(f"[{op}_{number}] {out} = {op}({value}, w{number})")
        value = out
    return f"<{', '.join(weights)}> {{ {' '.join(lines)} }}"


BRANCHES = """<float[4,4] w = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}, float[4] b = {1,2,3,4}> {
    [mm] m = MatMul(x, w) [left] l = Relu(m) [right] r = Sigmoid(m) [bias] c = Add(r, b)
    [join] y = Add(l, c) }"""
REORDERED = """<float[4] b = {1,2,3,4}, float[4,4] w = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}> {
    [mm] m = MatMul(x, w) [right] r = Sigmoid(m) [bias] c = Add(r, b) [left] l = Relu(m)
    [join] y = Add(l, c) }"""


def test_a_model_is_itself():
    found = diff(BRANCHES, BRANCHES)
    assert found.same
    assert found == GraphDifference(5, 5)


def test_order_is_no_difference():
    assert diff(BRANCHES, REORDERED) == GraphDifference(5, 5)


def test_names_are_no_difference_but_are_told():
    found = diff_models(model(BRANCHES), renamed(model(REORDERED)))
    assert found.same
    assert {(each.what, each.before) for each in found.renamed} == {
        *(("node", name) for name in ("mm", "left", "right", "bias", "join")),
        *(("value", name) for name in "mlrc"),
        ("initialiser", "w"), ("initialiser", "b"),
    }  # fmt: skip


def test_swapped_addends_are_no_difference_and_swapped_operands_of_a_difference_are():
    assert diff("{ a = Relu(x) y = Add(a, x) }", "{ a = Relu(x) y = Add(x, a) }").same
    found = diff("{ a = Relu(x) y = Sub(a, x) }", "{ a = Relu(x) y = Sub(x, a) }")
    assert [(each.slot, each.before.kind, each.after.kind) for each in found.rewired] == [
        (0, "Relu", "input"),
        (1, "input", "Relu"),
    ]


@pytest.mark.parametrize("place", [0, 2, 5])
@pytest.mark.parametrize("rename", [False, True])
def test_an_insertion_shifts_all_the_numbers_and_is_one_node(place, rename):
    """Names agree with other nodes everywhere behind it; weights tell which is which."""
    seeds = [1, 2, 3, 4, 5]
    after = model(layers([*seeds[:place], 99, *seeds[place:]]))
    found = diff_models(model(layers(seeds)), renamed(after) if rename else after)
    name = f"other_{place}" if rename else f"MatMul_{place}"
    assert names(found.added) == [name]
    assert (found.removed, found.changed) == ((), ())
    assert [(each.what, each.name[-2:]) for each in found.initializers] == [("added", f"w{place}")]
    assert len(found.rewired) == 1


def test_other_weights_everywhere_are_changed_weights():
    found = diff_models(model(layers([1, 2, 3])), renamed(model(layers([7, 8, 9]))))
    assert (found.added, found.removed, found.rewired) == ((), (), ())
    assert [(each.what, each.name) for each in found.initializers] == [
        ("changed", f"other_w{number}") for number in range(3)
    ]


def chain(operators: list[str]) -> str:
    """Nodes without names."""
    values = ["x", *(f"v{number}" for number in range(1, len(operators))), "y"]
    lines = [f"{values[i + 1]} = {op}({values[i]})" for i, op in enumerate(operators)]
    return f"{{ {' '.join(lines)} }}"


def nameless(text: str) -> ir.Model:
    """Without names of nodes, and with names of values that no other model has."""
    made = model(text)
    for node in made.graph:
        node.name = None
        for value in node.outputs:
            if not value.is_graph_output():
                value.name = f"{value.name}_{id(made)}"
    for value in list(made.graph.initializers.values()):
        value.name = f"{value.name}_{id(made)}"
    return made


@pytest.mark.parametrize(("before", "after"), [(100, 100), (100, 103), (103, 100)])
def test_chains_of_identical_nodes(before, after):
    found = diff_models(nameless(chain(["Relu"] * before)), nameless(chain(["Relu"] * after)))
    assert len(found.added) == max(0, after - before)
    assert len(found.removed) == max(0, before - after)
    assert len(found.rewired) == (before != after)


@pytest.mark.parametrize("place", [0, 17, 40])
def test_another_node_in_a_chain_of_identical_ones(place):
    after = ["Relu"] * 40
    after.insert(place, "Tanh")
    found = diff_models(nameless(chain(["Relu"] * 40)), nameless(chain(after)))
    assert [each.node.operator for each in found.added] == ["Tanh"]
    assert len(found.rewired) == 1
    assert found.removed == ()


def test_twin_branches_stay_together():
    """Nothing tells the branches apart; what must not happen is a mixture of them."""

    def branches(order: str) -> ir.Model:
        lines = {
            "a": "p = Relu(x) q = Exp(p)", "b": "s = Relu(x) t = Exp(s)",
            "c": "p = Relu(x) s = Relu(x) t = Exp(s) q = Exp(p)",
        }  # fmt: skip
        body = " ".join(lines[each] for each in order)
        return nameless(f"{{ {body} y = Sub(q, t) }}")

    for order in ("ab", "ba", "c"):
        assert diff_models(branches("ab"), branches(order)).same


def test_provenance_matches_what_names_and_weights_do_not():
    before, after = model(layers([1, 2, 3])), renamed(model(layers([7, 8, 9])))
    stamp(before)
    for number, node in enumerate(after.graph):  # as if their order had been turned round
        set_origins(node, [f"MatMul_{2 - number}"])
    found = diff_models(before, after)
    assert [(each.before, each.after) for each in found.renamed if each.what == "node"] == [
        ("MatMul_0", "other_2"), ("MatMul_1", "other_1"), ("MatMul_2", "other_0"),
    ]  # fmt: skip


def test_a_node_that_another_stands_for_is_folded_into_it():
    before = model("{ [conv] a = Relu(x) [bn] b = Neg(a) [end] y = Exp(b) }")
    after = model("{ [conv] a = Relu(x) [end] y = Exp(a) }")
    stamp(before)
    stamp(after)
    set_origins(after.graph[0], ["conv", "bn"])
    (removed,) = diff_models(before, after).removed
    assert (removed.node.name, removed.folded_into, removed.replaced_by) == ("bn", ("Relu",), ())


def test_a_node_that_others_come_from_is_replaced_by_them():
    before = model("{ [pow] y = Exp(x) }")
    after = model("{ [a] t = Neg(x) [b] y = Log(t) }")
    for each in (before, after):
        stamp(each)
    for node in after.graph:
        set_origins(node, ["pow"])
    found = diff_models(before, after)
    assert found.removed[0].replaced_by == ("Log", "Neg")
    assert [each.made_from for each in found.added] == [("Exp",), ("Exp",)]


def test_a_constant_that_was_lifted_is_an_initialiser_now():
    found = diff(
        "{ [c] w = Constant<value = float[4] {1,2,3,4}>() [add] y = Add(x, w) }",
        "<float[4] w = {1,2,3,4}> { [add] y = Add(x, w) }",
    )
    assert [each.became_initializer for each in found.removed] == [True]
    assert [each.what for each in found.initializers] == ["added"]
    (rewiring,) = found.rewired
    assert (rewiring.before.kind, rewiring.after.kind) == ("Constant", "initialiser")


def test_attributes_before_and_after():
    found = diff("{ [n] y = Elu<alpha=0.5>(x) }", "{ [n] y = Elu<alpha=0.25>(x) }")
    (change,) = found.changed
    (attribute,) = change.attributes
    assert (attribute.name, attribute.before, attribute.after) == ("alpha", "0.5", "0.25")
    assert not found.same


def test_a_default_that_is_written_out_is_no_difference():
    assert diff("{ [n] y = Elu<alpha=1.0>(x) }", "{ [n] y = Elu(x) }").same
    assert not diff("{ [n] y = Elu<alpha=2.0>(x) }", "{ [n] y = Elu(x) }").same
    pool = "(float[N,3,8,8] x) => (float[N,3,6,6] y)"
    bare = "{ [n] y = MaxPool<kernel_shape=[3,3]>(x) }"
    written = bare.replace("[3,3]", "[3,3], strides=[1,1], pads=[0,0,0,0], dilations=[1,1]")
    assert diff(bare, written, signature=pool).same
    assert not diff(bare, written.replace("[1,1]", "[2,2]", 1), signature=pool).same


def test_values_types_and_shapes():
    before, after = model("{ [n] t = Relu(x) y = Neg(t) }"), model("{ [n] t = Relu(x) y = Neg(t) }")
    after.graph[0].outputs[0].shape = ir.Shape(["N", 4])
    after.graph[0].outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    (change,) = diff_models(before, after).values
    assert (change.kind, change.type_before, change.type_after) == ("Relu", "?", "f32[N,4]")


def test_the_interface():
    before = model("{ y = Relu(x) z = Neg(x) }", "(float[N,4] x) => (float[N,4] y, float[N,4] z)")
    after = model("{ y = Relu(x) u = Exp(y) }", "(float[1,4] x) => (float[N,4] y, float[N,4] u)")
    after.graph.opset_imports[""] = 21
    after.ir_version = 10
    found = {(each.what, each.before, each.after) for each in diff_models(before, after).interface}
    assert found == {
        ("IR version", "9", "10"),
        ("opset", "20", "21"),
        ("input", "x: f32[N,4]", "x: f32[1,4]"),
        ("output", "z: f32[N,4]", "u: f32[N,4]"),
    }


def test_a_renamed_input_is_a_difference():
    before, after = model("{ y = Relu(x) }"), model("{ y = Relu(x) }")
    after.graph.inputs[0].name = "image"
    found = diff_models(before, after)
    assert not found.same
    assert [(each.before, each.after) for each in found.interface] == [
        ("x: f32[N,4]", "image: f32[N,4]")
    ]
    assert found.rewired == ()


def test_an_output_that_comes_from_elsewhere():
    found = diff(
        "{ [a] t = Relu(x) [b] u = Exp(x) [end] y = Identity(t) [sink] z = Neg(u) }",
        "{ [a] t = Relu(x) [b] u = Exp(x) [end] z = Identity(t) [sink] y = Neg(u) }",
    )
    (rewiring,) = found.rewired
    assert rewiring.user is None
    assert (rewiring.before.kind, rewiring.after.kind) == ("Identity", "Neg")


def weights(before, after) -> GraphDifference:
    text = "<float[4] w = {0,0,0,0}> { [mul] y = Mul(x, w) }"
    made = [model(text), model(text)]
    for each, array in zip(made, (before, after), strict=True):
        value = each.graph.initializers["w"]
        value.const_value = ir.tensor(np.asarray(array), name="w")
        value.dtype, value.shape = value.const_value.dtype, value.const_value.shape
    return diff_models(*made)


def test_statistics_of_a_changed_weight():
    (change,) = weights(np.float32([1, 2, 3, 4]), np.float32([1, 0, 3, 4])).initializers
    assert (change.what, change.users) == ("changed", ("Mul",))
    assert (change.before.bytes, change.before.type) == (16, "f32[4]")
    assert (change.after.minimum, change.after.maximum, change.after.mean) == (0, 4, 2)
    assert (change.before.sparsity, change.after.sparsity) == (0, 0.25)
    assert change.snr_db == pytest.approx(10 * np.log10(30 / 4))
    assert not change.reordered


def test_a_reordered_weight():
    (change,) = weights(np.float32([1, 2, 3, 4]), np.float32([4, 2, 3, 1])).initializers
    assert change.reordered
    assert change.snr_db == pytest.approx(10 * np.log10(30 / 18))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.float32([0, 0, 0, 0]), np.float32([1, 2, 3, 4])),
        (np.float32([1, 2, 3, 4]), np.float32([1, 2, np.nan, np.inf])),
        (np.float32([1, 2, 3, 4]), np.float32([1, 2, 3])),
        (np.float32([1, 2, 3, 4]), np.float16([1, 2, 3, 4])),
    ],
    ids=["no signal", "not finite", "another shape", "no noise"],
)
def test_weights_without_a_ratio(before, after):
    (change,) = weights(before, after).initializers
    assert change.snr_db is None


def test_statistics_leave_out_what_is_not_finite():
    (change,) = weights(np.float32([1, 2, 3, 4]), np.float32([0, 2, np.nan, -np.inf])).initializers
    after = change.after
    assert (after.minimum, after.maximum, after.mean, after.sparsity) == (0, 2, 1, 0.25)


def test_a_shared_weight_is_another_weight_of_one_of_them():
    found = diff(
        "<float[4] w = {1,2,3,4}, float[4] v = {1,2,3,4}> { [a] t = Mul(x, w) [b] y = Div(t, v) }",
        "<float[4] w = {1,2,3,4}> { [a] t = Mul(x, w) [b] y = Div(t, w) }",
    )
    assert [(each.what, each.name) for each in found.initializers] == [("removed", "v")]
    (rewiring,) = found.rewired
    assert (rewiring.user.name, rewiring.slot, rewiring.after.value) == ("b", 1, "w")


IF = """{ [choice] y = If(c) <
    then_branch = then () => (float[N,4] t) { [inner] t = Relu(x) },
    else_branch = other () => (float[N,4] e) { [skip] e = Identity(x) } > }"""
IF_SIGNATURE = "(float[N,4] x, bool c) => (float[N,4] y)"


def test_subgraphs():
    assert diff(IF, IF, signature=IF_SIGNATURE).same
    changed = IF.replace("t = Relu(x)", "h = Abs(x) [last] t = Relu(h)")
    found = diff(IF, changed, signature=IF_SIGNATURE)
    assert (found.nodes_before, found.nodes_after) == (3, 4)
    assert not found.changed
    (added,) = found.added
    assert (added.node.body, added.node.operator) == ("choice.then_branch", "Abs")
    (rewiring,) = found.rewired
    assert (rewiring.body, rewiring.before.kind, rewiring.after.kind) == (
        "choice.then_branch", "input", "Abs",
    )  # fmt: skip


def test_a_subgraph_that_uses_another_value_of_its_outer_graph():
    body = "{ [one] u = Abs(x) [two] v = Neg(x) " + IF[2:].replace("Relu(x)", "Relu(u)")
    found = diff(body, body.replace("Relu(u)", "Relu(v)"), signature=IF_SIGNATURE)
    (rewiring,) = found.rewired
    assert (rewiring.before.kind, rewiring.after.kind) == ("Abs", "Neg")


FUNCTION = """<ir_version: 9, opset_import: ["" : 20, "f" : 1]>
g (float[N,4] x) => (float[N,4] y) { [call] y = f.twice(x) }
<domain: "f", opset_import: ["" : 20]>
twice (a) => (b) { [first] t = Relu(a) [second] b = Add(t, t) }"""


def test_functions():
    before = ir.from_onnx_text(FUNCTION)
    assert diff_models(before, ir.from_onnx_text(FUNCTION)).same
    after = ir.from_onnx_text(FUNCTION.replace("Relu(a)", "Abs(a)"))
    found = diff_models(before, after)
    assert [each.node.body for each in found.removed] == ["function f.twice"]
    inlined = model("{ [first] t = Relu(x) [second] y = Add(t, t) }")
    (gone,) = [each for each in diff_models(before, inlined).interface if each.what == "function"]
    assert (gone.name, gone.before, gone.after) == ("f.twice", "2 nodes", None)


@st.composite
def graphs(draw) -> str:
    """Random graphs of one-input and two-input operators with weights here and there."""
    values, lines, initializers = ["x"], [], []
    for number in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["Relu", "Neg", "Add", "Sub", "weight"]))
        first = draw(st.sampled_from(values))
        if kind == "weight":
            elements = draw(st.lists(st.integers(-3, 3), min_size=4, max_size=4))
            initializers.append(f"float[4] w{number} = {{{','.join(map(str, elements))}}}")
            lines.append(f"v{number} = Mul({first}, w{number})")
        elif kind in ("Add", "Sub"):
            lines.append(f"v{number} = {kind}({first}, {draw(st.sampled_from(values))})")
        else:
            lines.append(f"v{number} = {kind}({first})")
        values.append(f"v{number}")
    given_weights = f"<{', '.join(initializers)}>" if initializers else ""
    return f"{given_weights} {{ {' '.join(lines)} y = Identity({values[-1]}) }}"


def shuffled(source: ir.Model, seed: int) -> ir.Model:
    """The same with its nodes in another topological order."""
    generator = np.random.default_rng(seed)
    waiting = list(source.graph)
    source.graph.remove(waiting)
    while waiting:
        ready = [
            node
            for node in waiting
            if not any(value.producer() in waiting for value in node.inputs if value is not None)
        ]
        node = ready[generator.integers(len(ready))]
        waiting.remove(node)
        source.graph.append(node)
    return source


@given(graphs(), st.integers(0, 99))
def test_any_graph_is_the_same_in_another_order(text, seed):
    assert diff_models(model(text), shuffled(model(text), seed)) == diff(text, text)


@given(graphs())
def test_any_graph_is_the_same_under_other_names(text):
    assert diff_models(model(text), nameless(text)).same
    assert diff_models(nameless(text), nameless(text)).same


@given(graphs(), st.integers(0, 99))
def test_any_graph_is_the_same_under_other_names_in_another_order(text, seed):
    assert diff_models(nameless(text), shuffled(nameless(text), seed)).same


@given(graphs(), graphs())
def test_what_is_added_one_way_is_removed_the_other(one, other):
    there = diff_models(model(one), model(other))
    back = diff_models(model(other), model(one))
    assert there.same == back.same
    assert there.nodes_before - len(there.removed) == there.nodes_after - len(there.added)
    assert back.nodes_before - len(back.removed) == back.nodes_after - len(back.added)
    assert diff_models(model(one), model(other)) == there


def large(nodes: int, seed: int, prefix: str) -> ir.Model:
    """A chain with skips and, at every fourth node, weights."""
    generator = np.random.default_rng(seed)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, 8]))
    made: list[ir.Node] = []
    initializers = []
    value = x
    for number in range(nodes):
        if number % 4 == 0:
            array = generator.standard_normal((8, 8)).astype(np.float32)
            weight = ir.Value(name=f"{prefix}w{number}", const_value=ir.tensor(array))
            initializers.append(weight)
            node = ir.node("MatMul", [value, weight], name=f"{prefix}{number}")
        elif number % 4 == 3:
            node = ir.node("Add", [value, made[-3].outputs[0]], name=f"{prefix}{number}")
        else:
            node = ir.node("Relu", [value], name=f"{prefix}{number}")
        node.outputs[0].name = f"{prefix}v{number}"
        made.append(node)
        value = node.outputs[0]
    value.name = "y"
    graph = ir.Graph([x], [value], nodes=made, initializers=initializers, opset_imports={"": 20})
    return ir.Model(graph, ir_version=9)


@pytest.mark.parametrize("seed", [0, 1], ids=["the same weights", "other weights"])
def test_ten_thousand_nodes_with_other_names(seed):
    before, after = large(10_000, 0, "a"), large(10_001, seed, "b")
    started = time.process_time()
    found = diff_models(before, after)
    # One to two seconds; this is no measurement, but a quadratic step would take minutes.
    assert time.process_time() - started < 30
    assert (len(found.added), len(found.removed), found.changed) == (1, 0, ())
