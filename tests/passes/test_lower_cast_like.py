"""CastLike becomes the same Cast, attributes included."""

from __future__ import annotations

from lprc.passes.lower_cast_like import LowerCastLike


def test_saturate_is_kept(rewrite):
    done = rewrite(
        """<ir_version: 9, opset_import: ["" : 20]>
        g (float[N] x, float8e4m3fn[N] t) => (float8e4m3fn[N] y) { y = CastLike<saturate=0>(x, t) }""",
        LowerCastLike(),
        runs=False,  # ONNX Runtime's CPU has no such kernel
    )
    cast = done.node("Cast")
    assert {name: each.value for name, each in cast.attributes.items()} == {"to": 17, "saturate": 0}
    assert done.model.graph.outputs[0].name == "y"


def test_in_a_branch(rewrite):
    done = rewrite(
        """<ir_version: 9, opset_import: ["" : 20]>
        g (float[2] x, bool c) => (float[2] y) <int64[2] k = {1,2}> {
            y = If (c) <
                then_branch = t () => (float[2] p) { p = CastLike(k, x) },
                else_branch = e () => (float[2] q) { q = Neg(x) }
            >
        }""",
        LowerCastLike(),
    )
    assert len(done.context.rewrites) == 1
