from __future__ import annotations

import pytest

from lprc.core.graph.provenance import origins
from lprc.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'


def test_a_chain_of_copies_goes(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y) {{
            [first] a = Sqrt(x)
            [second] b = Sqrt(x)
            c = Neg(a)
            d = Neg(b)
            y = Add(c, d)
        }}""",
        EliminateCommonSubexpressions(),
    )
    assert done.ops == ["Sqrt", "Neg", "Add"]
    assert origins(done.node("Sqrt")) == ("first", "second")
    assert [rewrite.note for rewrite in done.context.rewrites][:1] == ["is first"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("LeakyRelu<alpha = 0.1>(x)", "LeakyRelu<alpha = 0.2>(x)"),
        ("LeakyRelu<alpha = 0.0>(x)", "LeakyRelu<alpha = -0.0>(x)"),
        ("Sub(x, z)", "Sub(z, x)"),
        ("Sqrt(x)", "Neg(x)"),
        ("Add(x, v)", "Add(x, w)"),
        # An overridable default is only as equal as its caller leaves it.
        ("Add(x, p)", "Add(x, q)"),
    ],
)
def test_different_nodes_stay(rewrite, first, second):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x, float[2] z, float[2] p, float[2] q) => (float[2] y)
        <float[2] v = {{1, 2}}, float[2] w = {{1, 3}}, float[2] p = {{1, 2}}, float[2] q = {{1, 2}}>
        {{ a = {first} b = {second} y = Add(a, b) }}""",
        EliminateCommonSubexpressions(),
    )
    assert not done.context.rewrites


def test_equal_small_constants_count_as_one(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y) <float[2] v = {{1, 2}}, float[2] w = {{1, 2}}> {{
            a = Mul(x, v)
            b = Mul(x, w)
            y = Add(a, b)
        }}""",
        EliminateCommonSubexpressions(),
    )
    assert done.ops == ["Mul", "Add"]
    assert list(done.model.graph.initializers) == ["v"]


@pytest.mark.parametrize("op", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_random_operators_stay(rewrite, op):
    done = rewrite(
        f"{HEADER} g (float[2] x) => (float[2] y) {{ a = {op}(x) b = {op}(x) y = Add(a, b) }}",
        EliminateCommonSubexpressions(),
        runs=False,
    )
    assert not done.context.rewrites


def test_two_graph_outputs_stay_two(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] a, float[2] b) {{ a = Sqrt(x) b = Sqrt(x) }}""",
        EliminateCommonSubexpressions(),
    )
    assert done.reasons == ["is a graph output"]


def test_optional_outputs_must_be_used_alike(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[1,1,4,4] x) => (float[1,1,3,3] y, int64[1,1,3,3] i) {{
            a = MaxPool<kernel_shape = [2, 2]>(x)
            b, i = MaxPool<kernel_shape = [2, 2]>(x)
            y = Add(a, b)
        }}""",
        EliminateCommonSubexpressions(),
    )
    assert not done.context.rewrites


def test_each_subgraph_is_looked_at_alone(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) {{
            s = Sqrt(x)
            z = If (c) <
                then_branch = t () => (float[2] a) {{ p = Neg(s) q = Neg(s) a = Add(p, q) }},
                else_branch = e () => (float[2] b) {{ r = Sqrt(x) b = Neg(r) }}
            >
            y = Add(z, s)
        }}""",
        EliminateCommonSubexpressions(),
    )
    inner = [node.op_type for node in done.model.graph.all_nodes()]
    assert inner.count("Sqrt") == 2
    assert inner.count("Neg") == 2


def test_nodes_with_subgraphs_stay(rewrite):
    branch = "then_branch = {0} () => (float[2] a{0}) {{ a{0} = Neg(x) }}, " + (
        "else_branch = {1} () => (float[2] b{1}) {{ b{1} = Sqrt(x) }}"
    )
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) {{
            p = If (c) <{branch.format("t", "e")}>
            q = If (c) <{branch.format("u", "f")}>
            y = Add(p, q)
        }}""",
        EliminateCommonSubexpressions(),
    )
    assert done.ops == ["If", "If", "Add"]


def test_a_copy_used_by_a_subgraph_goes(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) {{
            p = Abs(x)
            q = Abs(x)
            z = If (c) <
                then_branch = t () => (float[2] a) {{ a = Neg(q) }},
                else_branch = e () => (float[2] b) {{ b = Sqrt(q) }}
            >
            y = Add(z, p)
        }}""",
        EliminateCommonSubexpressions(),
    )
    assert done.ops == ["Abs", "If", "Add"]
