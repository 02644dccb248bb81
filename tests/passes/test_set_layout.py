from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from hypothesis import given, settings
from hypothesis import strategies as st

from lprc.core.errors import PromiseBrokenError, UsageError
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run
from lprc.passes import set_layout
from lprc.passes._images.moved_input import MovedInputs
from lprc.passes.reverse_channels import ReverseChannels
from lprc.passes.set_layout import SetLayout


def network(shape: str = "N,3,4,5", body: str = "y = Relu(image)") -> ir.Model:
    rank = len(shape.split(","))
    outer = ",".join("ABCDE"[:rank])
    return model_io.from_proto(
        onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 20]>
        g (float[{shape}] image) => (float[{outer}] y) {{ {body} }}""")
    )


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=3, max_size=5),
    layout=st.sampled_from(["NHWC", "NCHW"]),
    data=st.data(),
)
def test_another_layout_computes_the_same(sizes, layout, data):
    own = data.draw(st.permutations(range(len(sizes))))
    body = data.draw(
        st.sampled_from(["y = Relu(image)", f"y = Transpose<perm = {own}>(image)",
                         f"t = Transpose<perm = {own}>(image) y = Neg(t)"])
    )  # fmt: skip
    shape = ",".join(map(str, sizes))
    model = network(shape, body)
    item = SetLayout(layout=layout)
    translation = item.translation(model)
    apply_pass(model, item)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    assert sum(node.op_type == "Transpose" for node in model.graph) <= 1
    old = {"image": np.random.default_rng(0).standard_normal(sizes).astype(np.float32)}
    new = translation.inputs(old)
    np.testing.assert_array_equal(translation.restored(new)["image"], old["image"])
    expected = run(network(shape, body), old)["y"]
    np.testing.assert_array_equal(run(model, new)["y"], expected)


def test_channels_come_last():
    model = network()
    apply_pass(model, SetLayout())
    assert [str(dim) for dim in model.graph.inputs[0].shape] == ["N", "4", "5", "3"]


@pytest.mark.parametrize(
    ("shape", "body", "message"),
    [
        ("N,3", "y = Relu(image)", "input 'image' has 2 dimensions, not 3 to 5"),
        ("N,3,4,5", "y = Constant<value = float[1,1,1,1] {1}>()", "is read by no node alone"),
    ],
)
def test_named_inputs_that_are_no_images_are_refused(shape, body, message):
    with pytest.raises(UsageError, match=message):
        apply_pass(network(shape, body), SetLayout(inputs=("image",)))


def test_an_unknown_input_is_refused():
    with pytest.raises(UsageError, match="the graph has no input 'imag'"):
        apply_pass(network(), SetLayout(inputs=("imag",)))


def test_a_wrong_transpose_breaks_the_promise(monkeypatch):
    def wrong(graph: ir.Graph, value: ir.Value, permutation: object) -> None:
        value.shape = ir.Shape([value.shape[axis] for axis in permutation])

    monkeypatch.setattr(set_layout, "_transpose", wrong)
    with pytest.raises(PromiseBrokenError, match="set-layout"):
        PassManager(Pipeline.parse("set-layout"), [Verify("final")]).run(network())


def test_channels_are_reversed_in_front_of_anything():
    model = network()
    item = ReverseChannels()
    translation = item.translation(model)
    assert isinstance(translation, MovedInputs)
    apply_pass(model, item)
    old = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    new = translation.inputs({"image": old})
    np.testing.assert_array_equal(new["image"], old[:, ::-1])
    np.testing.assert_array_equal(run(model, new)["y"], np.maximum(old, 0))


@pytest.mark.parametrize("shape", ["N,4,5,5", "N,3", "N,C,4,5"])
def test_other_channels_than_three_are_refused(shape):
    with pytest.raises(UsageError, match="channels on axis 1, not 3"):
        apply_pass(network(shape), ReverseChannels())
