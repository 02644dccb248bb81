from __future__ import annotations

import pytest

from lprc.passes.deduplicate_initializers import DeduplicateInitializers

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'


def test_equal_weights_become_one(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y)
        <float[2] a = {{1, 2}}, float[2] b = {{1, 2}}, float[2] c = {{1, 2}}> {{
            p = Add(x, a)
            q = Mul(p, b)
            y = Sub(q, c)
        }}""",
        DeduplicateInitializers(),
    )
    assert list(done.model.graph.initializers) == ["a"]
    assert [rewrite.note for rewrite in done.context.rewrites] == ["b is a", "c is a"]


def test_equal_strings_become_one(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (string[1] x) => (bool[1] y) <string[1] a = {{"p"}}, string[1] b = {{"p"}},
        string[1] c = {{"q"}}> {{
            p = Equal(x, a) q = Equal(x, b) r = Equal(x, c) s = And(p, q) y = Or(s, r) }}""",
        DeduplicateInitializers(),
    )
    assert list(done.model.graph.initializers) == ["a", "c"]


@pytest.mark.parametrize(
    "other",
    [
        "float[2] b = {1, 3}",
        "float[1, 2] b = {1, 2}",
        "float[2] b = {1, -2}",
    ],
)
def test_different_weights_stay(rewrite, other):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[N, M] y) <float[2] a = {{1, 2}}, {other}> {{
            p = Add(x, a)
            q = Mul(p, b)
            y = Flatten(q)
        }}""",
        DeduplicateInitializers(),
    )
    assert not done.context.rewrites


def test_zero_and_minus_zero_stay_two(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[1] x) => (float[1] y) <float[1] a = {{0.0}}, float[1] b = {{-0.0}}> {{
            p = Div(x, a)
            q = Div(x, b)
            y = Max(p, q)
        }}""",
        DeduplicateInitializers(),
    )
    assert not done.context.rewrites


def test_public_initialisers_stay(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x, float[2] a) => (float[2] y) <float[2] a = {{1, 2}}, float[2] b = {{1, 2}}> {{
            p = Add(x, a)
            y = Mul(p, b)
        }}""",
        DeduplicateInitializers(),
    )
    assert not done.context.rewrites


def test_each_graph_is_looked_at_alone(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) <float[2] a = {{1, 2}}> {{
            p = Add(x, a)
            y = If (c) <
                then_branch = t () => (float[2] q) <float[2] d = {{1, 2}}, float[2] e = {{1, 2}}> {{
                    r = Add(p, d)
                    q = Mul(r, e)
                }},
                else_branch = e () => (float[2] s) {{ s = Neg(p) }}
            >
        }}""",
        DeduplicateInitializers(),
    )
    assert [rewrite.note for rewrite in done.context.rewrites] == ["e is d"]
