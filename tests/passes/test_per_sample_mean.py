from __future__ import annotations

import numpy as np
import pytest

from lprc.core.running.numerics import run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.per_sample_mean import PerSampleMean

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'


def normaliser(middle: str, shape: str = "N,3,4,5", opset: int = 18) -> str:
    return f"""<ir_version: 8, opset_import: ["" : {opset}]>
    agraph (float[{shape}] x) => (float[{shape}] y)
    <int64[4] all = {{0, 1, 2, 3}}, int64[3] some = {{0, 2, -1}}, int64[1] batch = {{0}},
     int64[4] ones = {{0, 1, 2, 3}}, float eps = {{0.5}}, int64[0] scalar = {{}}> {{
        s = Mul(x, x)
        {middle}
    }}"""


FORMS = {
    "all axes, keepdims, squeezed": "m = ReduceMean<keepdims=1>(s) q = Squeeze(m) y = Div(x, q)",
    "squeezed by axes": "m = ReduceMean<keepdims=1>(s) q = Squeeze(m, ones) y = Div(x, q)",
    "reshaped": "m = ReduceMean<keepdims=1>(s) q = Reshape(m, scalar) y = Div(x, q)",
    "all axes, scalar": "m = ReduceMean<keepdims=0>(s) y = Div(x, m)",
    "explicit axes": "m = ReduceMean<keepdims=1>(s, all) y = Mul(x, m)",
    "some axes": "m = ReduceMean<keepdims=1>(s, some) y = Mul(x, m)",
    "with epsilon and root": (
        "m = ReduceMean<keepdims=0>(s) e = Add(m, eps) r = Sqrt(e) y = Div(x, r)"
    ),
    "twice the mean": "m = ReduceMean<keepdims=0>(s) d = Add(m, m) y = Div(x, d)",
    "mean first": "m = ReduceMean<keepdims=0>(s) y = Sub(m, x)",
    "sum of any number": "m = ReduceMean<keepdims=0>(s) y = Sum(m, x)",
    "any function of an element": "m = ReduceMean<keepdims=0>(s) e = Softsign(m) y = Mul(x, e)",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_gives_what_its_samples_give(rewrite, form):
    found = rewrite(normaliser(FORMS[form]), PerSampleMean())
    assert len(found.context.rewrites) == 1
    assert "Squeeze" not in found.ops
    x = random_inputs(found.before, batch=3)["x"]
    together = run(found.model, {"x": x})["y"]
    alone = [run(found.before, {"x": x[i : i + 1]})["y"] for i in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5)


def test_axes_are_an_attribute_in_older_opsets(rewrite):
    text = normaliser("m = ReduceMean<axes=[0,1,2,3]>(s) y = Div(x, m)", opset=13)
    found = rewrite(text, PerSampleMean())
    assert list(found.node("ReduceMean").attributes["axes"].value) == [1, 2, 3]


@pytest.mark.parametrize(
    ("middle", "reason"),
    [
        ("m = ReduceMean(s, batch) y = Div(x, m)", "mean over the batch alone"),
        (
            "m = ReduceMean<keepdims=0>(s, some) t = Sum(m) y = Add(x, x)",
            "keepdims=0 over some axes",
        ),
        (
            "m = ReduceMean<keepdims=0>(s) c = Softmax<axis=0>(s) k = Expand(m, all) y = Mul(c, c)",
            "mean feeds Expand",
        ),
        ("m = ReduceMean(s) q = Softmax<axis=1>(m) y = Mul(x, q)", "mean feeds Softmax"),
    ],
)
def test_means_that_stay(rewrite, middle, reason):
    assert rewrite(normaliser(middle), PerSampleMean()).reasons == [reason]


def test_a_mean_that_is_an_output_stays(rewrite):
    text = f"""{HEAD}
    agraph (float[N,3] x) => (float m, float[N,3] y) {{
        m = ReduceMean<keepdims=0>(x)
        y = Div(x, m)
    }}"""
    assert rewrite(text, PerSampleMean()).reasons == ["mean is a graph output"]


def test_a_mean_against_another_batch_stays(rewrite):
    text = f"""{HEAD}
    agraph (float[N,3] x, float[M,3] z) => (float[M,3] y) {{
        m = ReduceMean<keepdims=0>(x)
        y = Div(z, m)
    }}"""
    assert rewrite(text, PerSampleMean()).reasons == ["mean feeds Div"]


def test_a_mean_in_a_subgraph_stays(rewrite):
    text = f"""{HEAD}
    agraph (float[N,3] x, bool[1] c) => (float[N,3] y) {{
        m = ReduceMean<keepdims=0>(x)
        y = If(c) <
            then_branch = g1 () => (float[N,3] a) {{ a = Div(x, m) }},
            else_branch = g2 () => (float[N,3] b) {{ b = Identity(x) }}
        >
    }}"""
    assert rewrite(text, PerSampleMean()).reasons == ["mean is used in a subgraph"]


def test_axes_that_can_vary_stay(rewrite):
    text = f"""{HEAD}
    agraph (float[N,3] x, int64[1] axes) => (float[N,3] y) {{
        m = ReduceMean(x, axes)
        y = Div(x, m)
    }}"""
    assert rewrite(text, PerSampleMean(), runs=False).reasons == ["axes are not constant"]


def test_spatial_means_are_no_candidates(rewrite):
    text = f"""{HEAD}
    agraph (float[N,3,4] x) => (float[N,3,4] y) <int64[1] axes = {{2}}> {{
        m = ReduceMean(x, axes)
        y = Div(x, m)
    }}"""
    found = rewrite(text, PerSampleMean())
    assert not found.context.rewrites
    assert not found.reasons


def test_a_negative_batch_axis_is_refused():
    with pytest.raises(ValueError, match="negative"):
        PerSampleMean(batch_axis=-1)
