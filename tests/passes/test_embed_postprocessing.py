from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from hypothesis import given, settings
from hypothesis import strategies as st

from lprc.core.errors import PromiseBrokenError, UsageError
from lprc.core.graph import editing
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run
from lprc.core.targets.legality import check
from lprc.core.targets.target import target as find_target
from lprc.passes._images import scores as scores_module
from lprc.passes._images.ctc_collapse import CtcCollapse
from lprc.passes._images.detections import Detections
from lprc.passes.embed_postprocessing import EmbedPostprocessing


def network(interface: str, body: str, opset: int = 20) -> ir.Model:
    return model_io.from_proto(
        onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : {opset}]>
        g {interface} {{ {body} }}""")
    )


def texts(classes: int, steps: int, axis: int = 1) -> ir.Model:
    sizes = f"N,{classes},{steps}" if axis == 1 else f"N,{steps},{classes}"
    return network(f"(float[{sizes}] x) => (float[{sizes}] logits)", "logits = Identity(x)")


def boxes(count: int = 12, classes: int = 3, last: bool = False) -> ir.Model:
    scores = f"N,{count},{classes}" if last else f"N,{classes},{count}"
    return network(
        f"(float[N,{count},4] b, float[{scores}] s)"
        f" => (float[N,{count},4] boxes, float[{scores}] scores)",
        "boxes = Identity(b) scores = Identity(s)",
    )


def logits_of(codes: list[list[int]], classes: int) -> np.ndarray:
    """float32 [N, classes, steps] whose best classes are `codes`."""
    one_hot = np.eye(classes, dtype=np.float32)[np.array(codes)].transpose(0, 2, 1)
    return np.ascontiguousarray(one_hot)


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        ([0, 0, 1, 1, 2], [0, 1, -1, -1, -1]),
        ([1, 2, 1, 1, 0], [1, 1, 0, -1, -1]),
        ([2, 2, 2, 2, 2], [-1, -1, -1, -1, -1]),
        ([0, 1, 0, 1, 0], [0, 1, 0, 1, 0]),
        ([2, 0, 0, 2, 0], [0, 0, -1, -1, -1]),
    ],
)
def test_texts_are_collapsed(codes, text):
    """The blank is class 2, the last of three."""
    model = texts(3, 5)
    apply_pass(model, EmbedPostprocessing(kind="ctc"))
    out = run(model, {"x": logits_of([codes], 3)})["logits"]
    assert out.dtype == np.int32
    assert out.tolist() == [text]


@settings(max_examples=50, deadline=None)
@given(
    classes=st.integers(2, 6),
    steps=st.integers(1, 20),
    axis=st.sampled_from([1, 2]),
    seed=st.integers(0, 1000),
    batch=st.integers(1, 3),
    data=st.data(),
)
def test_texts_are_those_of_a_loop(classes, steps, axis, seed, batch, data):
    blank = data.draw(st.integers(-classes, classes - 1))
    model = texts(classes, steps, axis)
    apply_pass(model, EmbedPostprocessing(kind="ctc", axis=axis, blank=blank, result="text"))
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    shape = (batch, classes, steps) if axis == 1 else (batch, steps, classes)
    logits = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    expected = CtcCollapse(axis, blank % classes).apply(logits)
    np.testing.assert_array_equal(run(model, {"x": logits})["text"], expected)


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(1, 15),
    classes=st.integers(1, 4),
    last=st.booleans(),
    form=st.sampled_from(["xyxy", "cxcywh"]),
    rows=st.integers(1, 40),
    overlap=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    score=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 1000),
)
def test_boxes_are_those_of_a_loop(count, classes, last, form, rows, overlap, score, seed):
    model = boxes(count, classes, last)
    apply_pass(
        model,
        EmbedPostprocessing(
            kind="nms", form=form, classes_last=last, rows=rows, overlap=overlap, score=score
        ),
    )
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    generator = np.random.default_rng(seed)
    corners = generator.random((2, count, 2, 2)).astype(np.float32)
    given_boxes = corners.reshape(2, count, 4)
    scores = generator.random((2, count, classes) if last else (2, classes, count))
    inputs = {"b": given_boxes, "s": scores.astype(np.float32)}
    expected = Detections(form, last, rows, overlap, score).apply(*inputs.values())
    actual = run(model, inputs)["detections"]
    assert actual.shape == (2, min(rows, count * classes), 6)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_scores_of_one_class_need_no_axis():
    model = network(
        "(float[N,5,4] b, float[N,5] s) => (float[N,5,4] boxes, float[N,5] scores)",
        "boxes = Identity(b)\nscores = Identity(s)",
    )
    maker = EmbedPostprocessing(kind="nms", rows=3, classes_last=True)
    apply_pass(model, maker)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    given_boxes = np.array([[[i, 0, i + 10, 10] for i in (0, 1, 20, 40, 60)]], np.float32)
    inputs = {"b": given_boxes, "s": np.array([[0.8, 0.9, 0.1, 0.3, 0.7]], np.float32)}
    actual = run(model, inputs)["detections"]
    assert actual[0, :, 0].tolist() == [1, 60, 40]
    assert actual[0, :, 5].tolist() == [0, 0, 0]
    expected = Detections("xyxy", True, 3, maker.overlap, maker.score).apply(*inputs.values())
    np.testing.assert_array_equal(actual, expected)


def test_overlaps_go_within_a_class_only():
    model = boxes(3, 2)
    apply_pass(model, EmbedPostprocessing(kind="nms", rows=4))
    same = [0, 0, 10, 10]
    scores = [[[0.9, 0.8, 0.1], [0.1, 0.7, 0.1]]]
    inputs = {
        "b": np.array([[same, same, [20, 20, 30, 30]]], np.float32),
        "s": np.array(scores, np.float32),
    }
    assert np.round(run(model, inputs)["detections"][0], 3).tolist() == [
        [*same, 0.9, 0],
        [*same, 0.7, 1],
        [-1] * 6,
        [-1] * 6,
    ] or pytest.approx(run(model, inputs)["detections"][0][:2, 4]) == [0.9, 0.7]


def test_masks_and_probabilities():
    scores = np.random.default_rng(0).standard_normal((2, 5, 4, 3)).astype(np.float32)
    interface = "(float[N,5,4,3] x) => (float[N,5,4,3] y)"
    mask = network(interface, "y = Identity(x)")
    apply_pass(mask, EmbedPostprocessing(dtype="uint8", result="mask"))
    out = run(mask, {"x": scores})["mask"]
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, scores.argmax(axis=1))
    shares = network(interface, "y = Identity(x)")
    apply_pass(shares, EmbedPostprocessing(kind="softmax", axis=-3))
    np.testing.assert_allclose(run(shares, {"x": scores})["y"].sum(axis=1), 1, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    has=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    wants=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    interpolation=st.sampled_from(["linear", "nearest", "cubic"]),
    kind=st.sampled_from(["argmax", "softmax"]),
)
def test_masks_have_the_size_that_is_asked_for(has, wants, interpolation, kind):
    sizes = f"N,4,{has[0]},{has[1]}"
    model = network(f"(float[{sizes}] x) => (float[{sizes}] y)", "y = Identity(x)")
    item = EmbedPostprocessing(
        kind=kind, height=wants[0], width=wants[1], interpolation=interpolation
    )
    verify = Verify("each")
    PassManager(Pipeline((item,)), [verify]).run(model)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    assert not verify.warnings
    scores = np.random.default_rng(1).standard_normal((1, 4, *has)).astype(np.float32)
    assert run(model, {"x": scores})["y"].shape[-2:] == wants


@pytest.mark.parametrize(("kind", "result"), [("argmax", None), ("softmax", "mask")])
def test_a_mask_that_is_wrong_at_the_border_breaks_the_promise(monkeypatch, kind, result):
    right = scores_module.resize_attributes

    def wrong(interpolation):
        return {**right(interpolation), "coordinate_transformation_mode": "asymmetric"}

    monkeypatch.setattr(scores_module, "resize_attributes", wrong)
    model = network("(float[N,4,5,5] x) => (float[N,4,5,5] y)", "y = Identity(x)")
    maker = EmbedPostprocessing(kind=kind, height=20, width=20, result=result)
    with pytest.raises(PromiseBrokenError, match="embed-postprocessing"):
        PassManager(Pipeline((maker,)), [Verify("each")]).run(model)


@pytest.mark.parametrize("mode", ["each", "final"])
@pytest.mark.parametrize(
    ("model", "text"),
    [
        (lambda: texts(4, 9), "embed-postprocessing{kind=ctc}"),
        (lambda: texts(4, 9), "embed-postprocessing{kind=softmax},eliminate-identity"),
        (lambda: texts(4, 9), "eliminate-dead-code,embed-postprocessing"),
        (boxes, "embed-postprocessing{kind=nms,rows=5}"),
    ],
)
def test_it_is_verified(mode, model, text):
    verify = Verify(mode)
    PassManager(Pipeline.parse(text), [verify]).run(model())
    assert not verify.warnings
    assert not any(delta.mismatch for deltas in verify.deltas.values() for delta in deltas)


def test_a_wrong_text_breaks_the_promise(monkeypatch):
    def wrong(self, tail, best, row):
        right_value = right(self, tail, best, row)
        return tail.add("Not", [right_value], "wrong", row)

    right = CtcCollapse._counts
    monkeypatch.setattr(CtcCollapse, "_counts", wrong)
    with pytest.raises(PromiseBrokenError, match="embed-postprocessing"):
        PassManager(Pipeline.parse("embed-postprocessing{kind=ctc}"), [Verify("final")]).run(
            texts(4, 9)
        )


@pytest.mark.parametrize("name", ["onnx", "ort-fp32", "openvino-fp32", "tensorrt-fp32"])
@pytest.mark.parametrize("kind", ["ctc", "nms", "argmax", "softmax"])
def test_every_kind_is_legal(kind, name):
    model = boxes() if kind == "nms" else texts(4, 9)
    apply_pass(model, EmbedPostprocessing(kind=kind))
    assert not check(model, find_target(name).rules)


def test_tvm_refuses_boxes_by_name_and_takes_the_rest():
    rules = find_target("tvm-fp32").rules
    fixed = Pipeline.parse("set-batch{batch=1},infer-shapes")
    for kind in ("ctc", "argmax", "softmax"):
        model = texts(4, 9)
        PassManager(fixed).run(model)
        apply_pass(model, EmbedPostprocessing(kind=kind))
        assert not check(model, rules)
    model = boxes()
    PassManager(fixed).run(model)
    apply_pass(model, EmbedPostprocessing(kind="nms"))
    first = check(model, rules)[0]
    assert "NonMaxSuppression" in first.place


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: texts(3, 5), {"output": "logit"}, "the graph has no output 'logit'"),
        (boxes, {}, "the graph has 2 outputs"),
        (
            lambda: texts(3, 5),
            {"height": 2, "width": 2},
            r"output 'logits' is not \[N, classes, height, width\]",
        ),
        (lambda: texts(3, 5), {"axis": 3}, "has 3 dimensions, and no axis 3"),
        (lambda: texts(3, 5), {"kind": "ctc", "axis": 0}, "classes on axis 0"),
        (lambda: texts(3, 5), {"kind": "ctc", "blank": 3}, "blank 3 is none of 3 classes"),
        (lambda: texts(3, 5), {"axis": 0}, "the size of axis 0 of output 'logits' is open"),
        (lambda: texts(3, 5), {"result": "x"}, "there is a 'x' already"),
        (boxes, {"kind": "nms", "boxes": "scores"}, r"output 'scores' is not \[N, boxes, 4\]"),
        (boxes, {"kind": "nms", "classes_last": True}, "has 12 boxes, and 'scores' scores of 3"),
        (
            lambda: network("(int64[2] x) => (int64[2] y)", "y = Identity(x)"),
            {},
            "output 'y' is INT64, not float32",
        ),
        (
            lambda: network("(float[2] x) => (float[2] y)", "y = Identity(x)", 12),
            {},
            "operator set 12 is older than 13",
        ),
    ],
)
def test_what_does_not_fit_is_refused(model, options, message):
    with pytest.raises(UsageError, match=message):
        apply_pass(model(), EmbedPostprocessing(**options))


@pytest.mark.parametrize("options", ["rows=0", "overlap=1.5", "score=-1", "kind=boxes", "height=4"])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(UsageError):
        Pipeline.parse(f"embed-postprocessing{{{options}}}")


def test_other_outputs_stay():
    model = network("(float[N,3] x) => (float[N,3] a, float[N,3] b)", "a = Identity(x) b = Neg(x)")
    apply_pass(model, EmbedPostprocessing(output="a", result="best"))
    assert [value.name for value in model.graph.outputs] == ["best", "b"]
    assert editing.dimension(model.graph.outputs[1], 1) == 3
