from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from lprc.core.errors import PromiseBrokenError, UsageError
from lprc.core.graph import editing
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run
from lprc.passes import embed_preprocessing
from lprc.passes._images import embedding, network_input
from lprc.passes.embed_preprocessing import EmbedPreprocessing


def network(body: str = "y = Conv(image, w, b)", shape: str = "N,3,5,6") -> ir.Model:
    proto = onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 20]>
        g (float[{shape}] image) => (float[N,K,H,W] y) {{ {body} }}""")
    generator = np.random.default_rng(3)
    for name, sizes in {"w": (4, 3, 3, 3), "b": (4,), "v": (2, 4, 1, 1), "d": (3, 1, 2, 2)}.items():
        if name in {each for node in proto.graph.node for each in node.input}:
            array = generator.standard_normal(sizes).astype(np.float32)
            proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return model_io.from_proto(proto)


def pictures(count: int = 2, seed: int = 0) -> np.ndarray:
    """uint8 [N, 5, 6, 3], RGB."""
    return np.random.default_rng(seed).integers(0, 256, (count, 5, 6, 3), np.uint8)


def preprocessed(images: np.ndarray, color: str, mean: object, scale: object) -> np.ndarray:
    """float32 NCHW of RGB images, written out here once more."""
    ordered = images[..., ::-1] if color == "BGR" else images
    return ((ordered - np.array(mean)) * np.array(scale)).transpose(0, 3, 1, 2).astype(np.float32)


NUMBERS = st.sampled_from([(0.0,), (127.5,), (128.0,), (123.675, 116.28, 103.53)])
SCALES = st.sampled_from([(1.0,), (0.0078125,), (0.017, 0.0175, 0.0171), (-2.0,)])
BODIES = {
    "a Conv": "y = Conv(image, w, b)",
    "one that pads": "y = Conv<pads = [1,1,1,1]>(image, w)",
    "depthwise": "y = Conv<group = 3>(image, d)",
    "an activation": "a = Relu(image) y = Conv(a, w)",
    "two readers": "a = Conv(image, w) c = Conv(image, w, b) y = Add(a, c)",
}


@settings(max_examples=60, deadline=None)
@given(
    body=st.sampled_from(sorted(BODIES)),
    color=st.sampled_from(["RGB", "BGR"]),
    source=st.sampled_from(["RGB", "BGR"]),
    layout=st.sampled_from(["NHWC", "NCHW"]),
    mean=NUMBERS,
    scale=SCALES,
    center=st.booleans(),
    dtype=st.sampled_from(["uint8", "float32"]),
)
def test_pictures_give_what_preprocessed_ones_gave(
    body, color, source, layout, mean, scale, center, dtype
):
    before, after = network(BODIES[body]), network(BODIES[body])
    options = EmbedPreprocessing(
        color=color,
        source=source,
        layout=layout,
        mean=mean,
        scale=scale,
        center=center,
        dtype=dtype,
    )
    apply_pass(after, options)
    onnx.checker.check_model(model_io.to_proto(after), full_check=True)
    images = pictures()
    given_images = images if source == "RGB" else images[..., ::-1]
    if layout == "NCHW":
        given_images = given_images.transpose(0, 3, 1, 2)
    expected = run(before, {"image": preprocessed(images, color, mean, scale)})["y"]
    actual = run(after, {"image": np.ascontiguousarray(given_images, dtype)})["y"]
    np.testing.assert_allclose(actual, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("body", "color", "mean", "left"),
    [
        ("y = Conv(image, w, b)", "BGR", 127.5, []),
        ("y = Conv<pads = [1,1,1,1]>(image, w)", "BGR", 127.5, ["Sub"]),
        ("y = Conv<pads = [1,1,1,1]>(image, w)", "BGR", 0.0, []),
        ("y = Conv<group = 3>(image, d)", "BGR", 127.5, ["Gather"]),
        ("a = Relu(image) y = Conv(a, w)", "RGB", 127.5, ["Sub", "Mul"]),
        ("a = Relu(image) y = Conv(a, w)", "BGR", 0.0, ["Mul", "Gather"]),
    ],
)
def test_what_convs_can_take_over_is_no_operator(body, color, mean, left):
    model = network(body)
    apply_pass(model, EmbedPreprocessing(color=color, mean=(mean,), scale=(0.5,)))
    operators = [node.op_type for node in model.graph]
    behind = [node.op_type for node in network(body).graph]
    assert operators == ["Cast", *left, "Transpose", *behind]


@pytest.mark.parametrize("smallest", [1e-41, 0.0])
def test_channels_of_as_good_as_nothing_are_no_obstacle(smallest):
    """LPRNet's first Conv has such: trained to nothing, and not quite zero."""
    model = network()
    proto = model_io.to_proto(model)
    weight = next(each for each in proto.graph.initializer if each.name == "w")
    array = numpy_helper.to_array(weight).copy()
    array[1] = smallest
    weight.CopyFrom(numpy_helper.from_array(array, "w"))
    model = model_io.from_proto(proto)
    apply_pass(model, EmbedPreprocessing(mean=(127.5,), scale=(2**-7,)))
    assert [node.op_type for node in model.graph] == ["Cast", "Transpose", "Conv"]


def test_float16_weights_that_would_lose_digits_keep_the_operators():
    proto = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 20]>
        g (float16[N,1,2,2] image) => (float16[N,1,2,2] y) { y = Conv(image, w) }""")
    weight = np.full((1, 1, 1, 1), 0.0123, np.float16)
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    model = model_io.from_proto(proto)
    context = apply_pass(model, EmbedPreprocessing(mean=(1.0,), scale=(2**-12,)))
    assert [node.op_type for node in model.graph] == [
        "Cast", "Sub", "Mul", "Transpose", "Cast", "Conv",
    ]  # fmt: skip
    assert {skip.reason for skip in context.skips} == {
        "the new weights would lose digits: they are too small for their type"
    }


def test_every_limit_of_rewrites_leaves_a_graph_that_is_right():
    item = EmbedPreprocessing(color="BGR", mean=(1.0, 2.0, 3.0), scale=(0.5,))
    whole = apply_pass(network(), item)
    assert len(whole.rewrites) == 3
    expected = run(network(), {"image": preprocessed(pictures(), "BGR", [1, 2, 3], 0.5)})["y"]
    for limit in range(1, 4):
        model = network()
        assert len(apply_pass(model, item, limit=limit).rewrites) == limit
        actual = run(model, {"image": pictures()})["y"]
        np.testing.assert_allclose(actual, expected, atol=2e-5 * np.abs(expected).max())
    model = network()
    assert not apply_pass(model, item, limit=0).rewrites
    assert model.graph.inputs[0].dtype == ir.DataType.FLOAT


PIPELINE = "embed-preprocessing{color=BGR,mean=127.5,scale=0.0078125}"


def manage(model: ir.Model, text: str, samples: list[dict[str, np.ndarray]], mode: str) -> Verify:
    verify = Verify(mode, inputs=samples or None)
    PassManager(Pipeline.parse(text), [verify], calibration=samples).run(model)
    return verify


@pytest.mark.parametrize("mode", ["each", "final"])
@pytest.mark.parametrize("real", [True, False])
def test_it_is_verified(mode, real):
    samples = [{"image": preprocessed(pictures(seed=1), "BGR", 127.5, 0.0078125)}] if real else []
    verify = manage(network(), f"{PIPELINE},eliminate-identity", samples, mode)
    assert not verify.warnings
    assert verify.worst(0) < 1e-5
    # Random numbers come from no pictures: what the source made of them says nothing here.
    assert (verify.worst(0, since_source=True) is not None) or not real


@pytest.mark.parametrize("mode", ["each", "final"])
@pytest.mark.parametrize("real", [True, False])
def test_wrong_colours_break_the_promise(mode, real, monkeypatch):
    monkeypatch.setattr(embedding, "reversed_inputs", lambda layer: layer)
    samples = [{"image": preprocessed(pictures(seed=1), "BGR", 127.5, 0.0078125)}] if real else []
    with pytest.raises(PromiseBrokenError, match="embed-preprocessing"):
        manage(network(), PIPELINE, samples, mode)


def test_a_wrong_fold_breaks_the_promise(monkeypatch):
    wrong = partial(network_input.scaled_inputs, offset=np.zeros(1))
    monkeypatch.setattr(
        embedding,
        "scaled_inputs",
        lambda layer, factor, _, most: wrong(layer, factor, largest=most),
    )
    with pytest.raises(PromiseBrokenError, match="embed-preprocessing"):
        manage(network(), PIPELINE, [], "each")


def test_what_breaks_a_later_promise_is_found_on_the_pictures(monkeypatch):
    from lprc.passes.eliminate_identity import EliminateIdentity

    def wrong(self: Pass, model: ir.Model, context) -> None:
        if context.rewrite(model.graph[0], "broken"):
            node = next(node for node in model.graph if node.op_type == "Conv")
            array = editing.constant(node.inputs[1])
            node.replace_input_with(1, editing.add_initializer(model.graph, "wrong", array * 1.01))

    monkeypatch.setattr(EliminateIdentity, "run", wrong)
    with pytest.raises(PromiseBrokenError, match="eliminate-identity"):
        manage(network(), f"{PIPELINE},eliminate-identity", [], "final")


def test_later_passes_are_calibrated_with_pictures():
    """Samples are of the source's input, and every one of the bytes comes back."""
    images = [pictures(seed=seed) for seed in range(8)]
    samples = [{"image": preprocessed(each, "BGR", 127.5, 0.0078125)} for each in images]
    seen: list[np.ndarray] = []

    class Looks(EmbedPreprocessing):
        name = "looks"
        changes_interface = False
        reads_calibration = True

        def run(self, model, context):
            seen.extend(sample["image"] for sample in context.calibration)

    pipeline = Pipeline((EmbedPreprocessing(color="BGR", mean=(127.5,), scale=(2**-7,)), Looks()))
    PassManager(pipeline, calibration=samples).run(network())
    assert len(seen) == 8
    for restored, image in zip(seen, images, strict=True):
        assert restored.dtype == np.uint8
        np.testing.assert_array_equal(restored, image)


@pytest.mark.parametrize("scheme", ["unsigned", "asymmetric"])
def test_the_first_quantised_conv_reads_the_bytes(scheme):
    model = network("a = Conv(image, w, b) r = Relu(a) y = Conv(r, v)", "N,3,5,6")
    samples = [
        {"image": preprocessed(pictures(seed=seed), "BGR", 127.5, 0.0078125)} for seed in range(8)
    ]
    manage(
        model,
        f"infer-shapes,{PIPELINE},infer-shapes,calibrate{{scheme={scheme}}},"
        f"insert-qdq{{scheme={scheme},carry=through}}",
        samples,
        "each",
    )
    first = next(node for node in model.graph if "image" in {value.name for value in node.inputs})
    assert first.op_type == "DequantizeLinear"
    assert editing.scalar(first.inputs[1]) == 1.0
    assert editing.scalar(first.inputs[2]) == 0
    assert "Cast" not in [node.op_type for node in model.graph]


@pytest.mark.parametrize("mean", [0, 3, 128])
@pytest.mark.parametrize("scale", [1.0, 0.0078125, 0.1])
def test_bytes_quantise_without_any_error(mean, scale):
    model = network("a = Relu(image) y = Conv(a, w)")
    proto = model_io.to_proto(model)
    proto.graph.node[0].op_type = "Identity"
    model = model_io.from_proto(proto)
    samples = [
        {"image": preprocessed(pictures(seed=seed), "RGB", mean, scale)} for seed in range(8)
    ]
    text = f"embed-preprocessing{{mean={mean},scale={scale}}},eliminate-identity,infer-shapes"
    manage(model, text, samples, "each")
    embedded = model_io.from_proto(model_io.to_proto(model))
    text = "calibrate{scheme=asymmetric},insert-qdq{scheme=asymmetric,weights=float}"
    manage(model, text, [{"image": pictures(seed=seed)} for seed in range(8)], "final")
    kinds = [node.op_type for node in model.graph]
    assert "Cast" not in kinds
    for node in list(embedded.graph):  # the weights are rounded; compare what the Conv reads
        if node.op_type == "Conv":
            embedded.graph.outputs.append(node.inputs[0])
    conv = next(node for node in model.graph if node.op_type == "Conv")
    model.graph.outputs.append(conv.inputs[0])
    inputs = {"image": pictures(seed=9)}
    want, got = run(embedded, inputs), run(model, inputs)
    left = next(value for name, value in want.items() if name != "y")
    right = next(value for name, value in got.items() if name != "y")
    np.testing.assert_allclose(right, left, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "imgae"}, "no input 'imgae'"),
        ({"mean": (1.0, 2.0)}, "has 3 channels on axis 1, and the options are for 2"),
        (
            {"network": "NHWC", "color": "BGR"},
            "has 6 channels on axis 3, and the options are for 3",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        apply_pass(network(), EmbedPreprocessing(**options))


def test_an_input_of_no_images_is_refused():
    model = network("y = Identity(image)", "N,4")
    with pytest.raises(UsageError, match="input 'image' has 2 dimensions, and images have 4"):
        apply_pass(model, EmbedPreprocessing())


@pytest.mark.parametrize("options", ["scale=0", "mean=inf", "mean=none", "scale=nan"])
def test_numbers_that_mean_nothing_are_refused(options):
    with pytest.raises(UsageError):
        Pipeline.parse(f"embed-preprocessing{{{options}}}")


def test_several_inputs_need_a_name():
    proto = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 20]>
        g (float[N,3,2,2] one, float[N,3,2,2] two) => (float[N,3,2,2] y) { y = Add(one, two) }""")
    with pytest.raises(UsageError, match="the graph has 2 inputs") as caught:
        apply_pass(model_io.from_proto(proto), EmbedPreprocessing())
    assert "'one', 'two'" in str(caught.value.hint)


def test_options_come_back_from_text():
    for color, layout in itertools.product(["RGB", "BGR"], ["NHWC", "NCHW"]):
        item = EmbedPreprocessing(color=color, layout=layout, mean=(1.5, 2.0, 3.0))
        assert Pipeline.parse(str(Pipeline((item,)))).passes == (item,)
    assert embed_preprocessing.EmbedPreprocessing.changes_interface
