"""What `decode-boxes` refuses, and what stays beside boxes and scores.

That its arithmetic is the tasks' is shown in tests/models/tasks/test_detection_in_graph.py.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.compiler.compile.optimize import optimize
from lprc.core.errors import PromiseBrokenError, UsageError
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io.model_io import from_proto, to_proto
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run
from lprc.passes import decode_boxes


def network(interface: str, body: str, opset: int = 20) -> ir.Model:
    return from_proto(
        onnx.parser.parse_model(
            f'<ir_version: 9, opset_import: ["" : {opset}]> g {interface} {{ {body} }}'
        )
    )


def raw(sizes: str = "N,4,7", opset: int = 20) -> ir.Model:
    return network(f"(float[{sizes}] x) => (float[{sizes}] out)", "out = Identity(x)", opset)


CELLS = "form=cells,boxes=out,row=boxes,objectness,scores,classes=2,width=16,height=16,strides=8"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            raw,
            CELLS.replace("out", "outs"),
            r"decode-boxes\{boxes\}: the graph has no output 'outs'",
        ),
        (raw, f"{CELLS},offset=0,scores=x", "scores are either in row, or outputs"),
        (
            raw,
            CELLS.replace("classes=2", "classes=3"),
            r"'out' is \[N, 4, 7\], and has no 8 numbers",
        ),
        (
            raw,
            CELLS.replace("=16", "=32"),
            r"'out' have 4 places, and strides \[8\] of 32 x 32 .* 16",
        ),
        (lambda: raw("N,K,7"), CELLS, "the size of axis 1 of output 'out' is open"),
        (lambda: raw(opset=12), CELLS, "operator set 12 is older than 13"),
        (
            lambda: network(
                "(float[N,5,4] b, float[N,6,2] s) => (float[N,5,4] boxes, float[N,6,2] scores)",
                "boxes = Identity(b) scores = Identity(s)",
            ),
            "scores=scores,classes=2",
            r"decode-boxes\{scores\}: 'scores' have 6 places, and boxes has 5",
        ),
        (
            lambda: network(
                "(float[N,4,7] x) => (float[N,4,7] out, float[N,4,7] scores)",
                "out = Identity(x) scores = Neg(x)",
            ),
            CELLS,
            "an input or another output 'scores'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(model, options, message):
    with pytest.raises(UsageError, match=message):
        optimize(model(), Pipeline.parse(f"decode-boxes{{{options}}}"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("scores=s,row=boxes,scores", "scores are either in row"),
        ("row=scores", "row holds boxes once"),
        ("scores=s,objectness=o,row=boxes,objectness", "objectness is either in row"),
        ("scores=s,objectness=o,activation=softmax", "always 1"),
        ("scores=boxes", "an output has two meanings"),
        ("scores=s,background=first", "classes leaves no class"),
        ("scores=s,normalized=true", "normalized needs the input's width and height"),
        ("scores=s,form=cells,strides=8", "cells needs the input's width and height"),
        ("scores=s,form=cells,width=8,height=0,strides=8", "width and height must be at least 1"),
        ("scores=s,form=cells,width=8,height=8", "cells needs strides"),
        ("scores=s,form=cells,width=8,height=8,strides=8,normalized=true", "normalized is for"),
        (
            "scores=s,form=distributions,width=8,height=8,strides=8,bins=1",
            "bins must be at least 2",
        ),
        ("scores=s,variances=1", "variances are 2 numbers, not 1"),
        ("scores=s,form=offsets,width=8,height=8,strides=8", "anchors-of-level says for each"),
        (
            "scores=s,form=anchors,width=8,height=8,strides=8,anchors=1,2,3,anchors-of-level=2",
            "anchors are 4 widths and heights above 0, not 3",
        ),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Pipeline.parse(f"decode-boxes{{{options}}}")


def two_outputs() -> ir.Model:
    """One has what decoding calls its own outputs, in the middle of the graph."""
    return network(
        "(float[N,4,7] x) => (float[N,2] more, float[N,4,7] out)",
        """boxes = Neg(x)
        out = Neg(boxes)
        axes = Constant <value_ints = [1, 2]> ()
        scores = ReduceMax<keepdims = 0> (boxes, axes)
        column = Constant <value_ints = [1]> ()
        one = Unsqueeze (scores, column)
        more = Concat <axis = 1> (one, one)""",
    )


def test_other_outputs_stay_unless_it_is_told_otherwise():
    x = np.random.default_rng(0).random((2, 4, 7)).astype(np.float32)
    both, alone = two_outputs(), two_outputs()
    optimize(both, Pipeline.parse(f"decode-boxes{{{CELLS}}}"))
    optimize(alone, Pipeline.parse(f"decode-boxes{{{CELLS},alone=true}}"))
    onnx.checker.check_model(to_proto(both), full_check=True)
    results, only = run(both, {"x": x}), run(alone, {"x": x})
    assert list(results) == ["more", "boxes", "scores"]
    assert results["boxes"].shape == (2, 4, 4)
    assert results["scores"].shape == (2, 4, 2)
    assert list(only) == ["boxes", "scores"]
    np.testing.assert_array_equal(only["boxes"], results["boxes"])
    assert "ReduceMax" not in {node.op_type for node in alone.graph}


@pytest.mark.parametrize("mode", ["each", "final"])
@pytest.mark.parametrize("more", ["", ",alone=true"])
def test_it_is_verified(mode, more):
    verify = Verify(mode)
    PassManager(Pipeline.parse(f"decode-boxes{{{CELLS}{more}}}"), [verify]).run(two_outputs())
    assert not verify.warnings
    assert any(verify.deltas.values())


def test_outputs_in_each_others_place_break_the_promise(monkeypatch):
    def swapped(graph, sources, answers):
        right(graph, sources, dict(zip(answers, reversed(answers.values()), strict=True)))

    right = decode_boxes.replace_outputs
    monkeypatch.setattr(decode_boxes, "replace_outputs", swapped)
    with pytest.raises(PromiseBrokenError, match="decode-boxes"):
        PassManager(Pipeline.parse(f"decode-boxes{{{CELLS}}}"), [Verify("each")]).run(two_outputs())
