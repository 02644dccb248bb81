"""Least squares brings a pruned network's outputs back towards what they were."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass

from lprc.core.errors import DataError, UsageError
from lprc.core.graph import editing, provenance
from lprc.core.onnx_io import model_io
from lprc.core.options import from_texts
from lprc.core.running.numerics import Session
from lprc.passes.prune_channels import PruneChannels
from lprc.passes.reconstruct import Reconstruct

HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'

LAYERS = {
    "Conv": ("y = Conv <pads = [1,1,1,1]> (r, v)", [3, 8, 3, 3]),
    "Conv with a bias": ("y = Conv <strides = [2,2]> (r, v, b)", [3, 8, 2, 2]),
    "ConvTranspose": ("y = ConvTranspose <strides = [2,2]> (r, v, b)", [8, 3, 2, 2]),
    "grouped Conv": ("y = Conv <group = 2> (r, v)", [4, 4, 1, 1]),
    "Gemm": (
        "f = Flatten(r) y = Gemm <transB = 1, alpha = 2.0, beta = 0.5> (f, v, b)", [3, 8 * 36],
    ),
    "MatMul": ("t = Transpose <perm = [0,2,3,1]> (r) y = MatMul(t, v)", [8, 3]),
    "MatMul and Add": (
        "t = Transpose <perm = [0,2,3,1]> (r) m = MatMul(t, v) y = Add(m, b)", [8, 3],
    ),
}  # fmt: skip


def network(last: str, shape: list[int]) -> ir.Model:
    """A Conv of 8 channels, a Relu, and a layer that reads them."""
    generator = np.random.default_rng(0)
    arrays = {"w": [8, 2, 3, 3], "c": [8], "v": shape}
    arrays |= {"b": [3]} if "b)" in last or "(b," in last else {}
    arrays |= {"u": [8, 8, 1, 1]} if ", u)" in last and "u = " not in last else {}
    declared = ", ".join(f"float[{','.join(map(str, dims))}] {k}" for k, dims in arrays.items())
    text = f"{HEAD} g (float[N,2,8,8] x) => (float[] y) <{declared}> {{ "
    model = onnx.parser.parse_model(f"{text} [first] a = Conv(x, w, c) r = Relu(a) {last} }}")
    del model.graph.value_info[:]
    for name, dims in arrays.items():
        array = generator.standard_normal(dims).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return ir.from_proto(onnx.shape_inference.infer_shapes(model))


def samples(count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Images with pixels that hang together, so that channels can stand for each other."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rough = generator.standard_normal((2, 2, 3, 3))
        smooth = rough.repeat(3, axis=2).repeat(3, axis=3)[:, :, :8, :8]
        noise = 0.05 * generator.standard_normal(smooth.shape)
        found.append({"x": (smooth + noise).astype(np.float32)})
    return found


def error(before: ir.Model, after: ir.Model, images) -> float:
    """The squared error of y over its square."""
    first, second = Session(before), Session(after)
    pairs = [(first.run(image)["y"], second.run(image)["y"]) for image in images]
    total = sum(float(np.square(a).sum()) for a, _ in pairs)
    return sum(float(np.square(a - b).sum()) for a, b in pairs) / total


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_come_nearer_on_other_images_too(name):
    before, model = network(*LAYERS[name]), network(*LAYERS[name])
    fit, other = samples(30), samples(10, seed=1)
    apply_pass(model, PruneChannels(ratio=0.4), calibration=fit)
    pruned = error(before, model, other)
    context = apply_pass(model, Reconstruct(), calibration=fit)
    assert [rewrite.op_type for rewrite in context.rewrites] == [name.split()[-1]
        if name == "grouped Conv" else name.split()[0]]  # fmt: skip
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    assert error(before, model, other) < 0.8 * pruned


def test_the_fit_is_that_of_least_squares():
    """What the normal equations give is what numpy finds from all positions at once."""
    model = network("y = Conv(r, v)", [3, 8, 1, 1])
    before = network("y = Conv(r, v)", [3, 8, 1, 1])
    images = samples(20)
    apply_pass(model, PruneChannels(ratio=0.5))
    apply_pass(model, Reconstruct(ridge=1e-9), calibration=images)
    session = Session(model)
    hidden = onnx.load_from_string(model_io.to_bytes(model))
    hidden.graph.output.add(name="r")
    inner = Session(hidden.SerializeToString())
    columns = np.concatenate(
        [inner.run(image)["r"].transpose(0, 2, 3, 1).reshape(-1, 4) for image in images]
    )
    wanted = np.concatenate(
        [Session(before).run(i)["y"].transpose(0, 2, 3, 1).reshape(-1, 3) for i in images]
    )
    got = np.concatenate([session.run(i)["y"].transpose(0, 2, 3, 1).reshape(-1, 3) for i in images])
    design = np.concatenate([columns, np.ones((len(columns), 1))], axis=1).astype(np.float64)
    best = design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    assert np.allclose(got, best, atol=1e-3)


def test_later_layers_see_what_earlier_ones_became():
    """Two layers behind each other: the second is fitted to what the mended first puts out."""
    last = "q = Conv(r, u) s = Relu(q) y = Conv(s, v)"
    before, model = network(last, [8, 8, 1, 1]), network(last, [8, 8, 1, 1])
    images = samples(40)
    apply_pass(model, PruneChannels(ratio=0.3, scope="local"), calibration=images)
    pruned = error(before, model, images)
    context = apply_pass(model, Reconstruct(), calibration=images)
    assert len(context.rewrites) == 2
    assert error(before, model, images) < 0.5 * pruned


def test_dead_inputs_do_no_harm():
    model = network("y = Conv(r, v)", [3, 8, 1, 1])
    for node in model.graph:
        if node.name == "first":
            bias = editing.constant(node.inputs[2])
            assert bias is not None
            dead = bias.copy()
            dead[5] = -100
            node.replace_input_with(2, editing.add_initializer(model.graph, "d", dead))
    apply_pass(model, PruneChannels(ratio=0.25))
    apply_pass(model, Reconstruct(), calibration=samples(5))
    for value in model.graph.initializers.values():
        array = editing.constant(value)
        assert array is not None
        assert np.isfinite(array).all()


def test_pruned_twice_is_repaired_against_the_first():
    before, model = (network("y = Conv(r, v)", [3, 8, 1, 1]) for _ in range(2))
    images = samples(20)
    for _ in range(2):
        apply_pass(model, PruneChannels(ratio=0.25), calibration=images)
    pruned = error(before, model, images)
    apply_pass(model, Reconstruct(), calibration=images)
    assert error(before, model, images) < 0.6 * pruned


def test_nothing_to_repair():
    model = network("y = Conv(r, v)", [3, 8, 1, 1])
    provenance.stamp(model)
    bytes_before = model_io.to_bytes(model)
    context = apply_pass(model, Reconstruct(), calibration=samples(2))
    assert [skip.reason for skip in context.skips] == [
        "no channel was removed before it in this pipeline"
    ]
    assert model_io.to_bytes(model) == bytes_before


def test_a_shared_weight_is_left_alone():
    model = network("q = Conv(r, v) s = Conv(r, v) y = Add(q, s)", [3, 8, 1, 1])
    apply_pass(model, PruneChannels(ratio=0.3))
    first, second = (
        node for node in model.graph if node.op_type == "Conv" and node.name != "first"
    )
    assert first.inputs[1] is second.inputs[1]
    assert "the weight is shared" in reasons(model)


def test_a_gemm_that_counts_for_nothing_is_left_alone():
    model = network("f = Flatten(r) y = Gemm <alpha = 0.0> (f, v)", [288, 3])
    apply_pass(model, PruneChannels(ratio=0.3))
    assert "alpha is 0" in reasons(model)


def test_a_layer_that_is_new_is_left_alone():
    model = network("y = Conv(r, v)", [3, 8, 1, 1])
    apply_pass(model, PruneChannels(ratio=0.3))
    next(node for node in model.graph if node.name == "first").outputs[0].name = "other"
    assert "it was not there before channels were removed" in reasons(model)


def test_a_bias_that_varies_is_left_alone():
    last = "g = ReduceMean <keepdims = 0> (x) u = Mul(b, g) y = Conv(r, v, u)"
    model = network(last, [3, 8, 1, 1])
    apply_pass(model, PruneChannels(ratio=0.3))
    assert "the bias is not one constant a channel" in reasons(model)


def reasons(model: ir.Model) -> set[str]:
    context = apply_pass(model, Reconstruct(), calibration=samples(2), limit=0)
    return {skip.reason for skip in context.skips}


def test_inputs_that_never_vary_leave_it_solvable():
    model = network("y = Conv(r, v)", [3, 8, 1, 1])
    images = [{"x": np.full((1, 2, 8, 8), 1e4, np.float32)} for _ in range(6)]
    apply_pass(model, PruneChannels(ratio=0.3))
    model.graph.initializers["w"].const_value = ir.tensor(np.zeros((6, 2, 3, 3), np.float32))
    apply_pass(model, Reconstruct(), calibration=images)
    assert np.isfinite(Session(model).run(images[0])["y"]).all()


def test_samples_are_needed():
    model = network("y = Conv(r, v)", [3, 8, 1, 1])
    apply_pass(model, PruneChannels(ratio=0.3))
    with pytest.raises(DataError, match="calibration data"):
        apply_pass(model, Reconstruct())


def test_the_ridge_is_positive():
    with pytest.raises(UsageError, match="positive"):
        from_texts(Reconstruct, {"ridge": ("0",)}, "reconstruct")
