"""Pictures of other sizes than the network's."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lprc.core.errors import PromiseBrokenError, UsageError
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run
from lprc.passes._images import resize_operators, resizing
from lprc.passes.embed_preprocessing import EmbedPreprocessing


def network(height: int, width: int, opset: int = 20) -> ir.Model:
    return model_io.from_proto(
        onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : {opset}]>
        g (float[N,3,{height},{width}] image) => (float[N,3,{height},{width}] y) {{
            y = Identity(image) }}""")
    )


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=80, deadline=None)
@given(
    size=SIZES,
    pictures=SIZES,
    dynamic=st.booleans(),
    how=st.sampled_from(["stretch", "letterbox", "crop"]),
    interpolation=st.sampled_from(["linear", "nearest", "cubic"]),
    layout=st.sampled_from(["NHWC", "NCHW"]),
)
def test_pictures_of_any_size_give_what_numpy_makes_of_them(
    size, pictures, dynamic, how, interpolation, layout
):
    model = network(*size)
    height, width = ("dynamic", "dynamic") if dynamic else pictures
    item = EmbedPreprocessing(
        layout=layout,
        height=height,
        width=width,
        resize=how,
        interpolation=interpolation,
        mean=(3,),
    )
    translation = item.translation(model)
    apply_pass(model, item)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    shape = (2, *pictures, 3) if layout == "NHWC" else (2, 3, *pictures)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    expected = translation.restored({"image": images})["image"]
    assert expected.shape == (2, 3, *size)
    actual = run(model, {"image": images})["y"]
    np.testing.assert_allclose(actual, expected, atol=2e-2)


@pytest.mark.parametrize("has", [1, 2, 3, 7, 24, 1080])
@pytest.mark.parametrize("wants", [1, 2, 5, 24, 94, 640])
def test_a_scale_makes_the_very_size(has, wants):
    scale = resizing.written_scale(has, wants)
    assert np.float32(scale) == scale
    assert int(np.floor(np.float32(has) * np.float32(scale))) == wants
    assert int(np.floor(has * scale)) == wants


def test_enlarging_is_what_pillow_does():
    """It antialiases only where it makes pictures smaller."""
    image = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8).astype(np.float32)
    wanted = np.asarray(Image.fromarray(image).resize((20, 11), Image.Resampling.BILINEAR))
    rows, columns = resizing.weights(5, 11, "linear"), resizing.weights(7, 20, "linear")
    np.testing.assert_allclose(rows @ image @ columns.T, wanted, atol=1e-3)


def test_a_border_has_its_byte_and_the_picture_is_in_the_middle():
    model = network(4, 4)
    apply_pass(
        model, EmbedPreprocessing(height="dynamic", width="dynamic", resize="letterbox", fill=7)
    )
    out = run(model, {"image": np.full((1, 4, 8, 3), 100, np.uint8)})["y"]
    assert out[0, 0].tolist() == [[7] * 4, [100] * 4, [100] * 4, [7] * 4]


@pytest.mark.parametrize("dynamic", [True, False])
def test_samples_become_pictures_of_the_size_that_is_taken(dynamic):
    sizes = "height=dynamic,width=dynamic" if dynamic else "height=9,width=8"
    model = network(4, 6)
    item = Pipeline.parse(f"embed-preprocessing{{{sizes}}}").passes[0]
    sample = {"image": np.arange(72, dtype=np.float32).reshape(1, 3, 4, 6)}
    pictures = item.translation(model).inputs(sample)["image"]
    assert pictures.shape == ((1, 4, 6, 3) if dynamic else (1, 9, 8, 3))
    verify = Verify("each", inputs=[sample])
    PassManager(Pipeline((item,)), [verify]).run(model)
    assert not verify.warnings


def test_a_wrong_size_breaks_the_promise(monkeypatch):
    right = resize_operators.resize_attributes

    def wrong(wanted):
        return {**right(wanted), "coordinate_transformation_mode": "asymmetric"}

    monkeypatch.setattr(resize_operators, "resize_attributes", wrong)
    with pytest.raises(PromiseBrokenError, match="embed-preprocessing"):
        PassManager(Pipeline.parse("embed-preprocessing{height=9,width=8}"), [Verify("final")]).run(
            network(4, 6)
        )


@pytest.mark.parametrize(
    "options", ["height=4", "height=dynamic,width=4", "height=0,width=4", "fill=300"]
)
def test_sizes_that_mean_nothing_are_refused(options):
    with pytest.raises(UsageError):
        Pipeline.parse(f"embed-preprocessing{{{options}}}")


def test_an_old_operator_set_is_refused():
    with pytest.raises(UsageError, match="operator set 12 can't resize so"):
        apply_pass(network(4, 4, opset=12), EmbedPreprocessing(height=8, width=8))


def test_a_network_of_open_size_is_refused():
    model = model_io.from_proto(
        onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 20]>
        g (float[N,3,H,W] image) => (float[N,3,H,W] y) { y = Identity(image) }""")
    )
    with pytest.raises(UsageError, match="the height and width of input 'image' are open"):
        apply_pass(model, EmbedPreprocessing(height=8, width=8))
