"""Fine-tuning: what it keeps, what it learns, and that it goes on as if it had not stopped."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.compile.optimize import optimize
from lprc.core.errors import DataError, UsageError
from lprc.core.onnx_io.model_io import from_proto, to_bytes
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run

torch = pytest.importorskip("torch")

from lprc.compiler.training.finetune import Sources, finetune  # noqa: E402 - needs torch
from lprc.compiler.training.graph_module import GraphModule  # noqa: E402
from lprc.compiler.training.hints import find_hints  # noqa: E402
from lprc.compiler.training.recipe import Recipe  # noqa: E402
from lprc.compiler.training.training_set import Rows  # noqa: E402
from lprc.compiler.training.weights import set_array  # noqa: E402

NET = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch,3,8,8] x) => (float[batch,5,4] y)
<int64[3] shape = {0, 5, 4}> {
  a = Conv<kernel_shape = [3,3], pads = [1,1,1,1]>(x, w1, b1)
  r = Relu(a)
  p = MaxPool<kernel_shape = [4,4], strides = [4,4]>(r)
  c = Conv<kernel_shape = [1,1]>(p, w2, b2)
  y = Reshape(c, shape)
}
"""

QUICK = Recipe(steps=60, batch=16, rate=1e-2, evaluate_every=20)


def _network(seed, *, zeros=0.0, text=NET):
    rng = np.random.default_rng(seed)
    proto = onnx.parser.parse_model(text)
    first = "w1" if "w1" in text else "v1"
    for name, shape in {first: (8, 3, 3, 3), "b1": (8,), "w2": (5, 8, 1, 1), "b2": (5,)}.items():
        array = rng.standard_normal(shape).astype(np.float32)
        if len(shape) > 1:
            array[rng.random(shape) < zeros] = 0
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return from_proto(proto)


def _rows(count=64):
    x = np.random.default_rng(7).standard_normal((count, 3, 8, 8)).astype(np.float32)
    return Rows({"x": torch.from_numpy(x)})


def _arrays(model):
    return {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}


def test_a_sparse_student_comes_nearer_to_its_teacher_and_keeps_its_zeros():
    teacher, student = _network(0), _network(0, zeros=0.5)
    before = {name: array.copy() for name, array in _arrays(student).items()}
    tuned = finetune(student, _rows(), QUICK, Sources(teacher=teacher))
    assert tuned.looks[-1].held_out < 0.5 * tuned.looks[0].held_out
    assert tuned.hints == 1
    for name, array in _arrays(student).items():
        if array.ndim == 4:
            assert np.array_equal(array == 0, before[name] == 0)
            assert not np.array_equal(array, before[name])
    x = {"x": _rows(4).arrays["x"].numpy()}
    wanted, far, near = (run(each, x)["y"] for each in (teacher, _network(0, zeros=0.5), student))
    assert np.abs(near - wanted).mean() < np.abs(far - wanted).mean()


def test_one_seed_gives_one_network():
    results = []
    for _ in range(2):
        student = _network(0, zeros=0.5)
        finetune(student, _rows(), QUICK, Sources(teacher=_network(0)))
        results.append(to_bytes(student))
    assert results[0] == results[1]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path, monkeypatch):
    keep = tmp_path / "run.pt"
    whole = _network(0, zeros=0.5)
    finetune(whole, _rows(), QUICK, Sources(teacher=_network(0)))

    class StoppedError(Exception):
        pass

    def stop(done, total):
        if done == 45:
            raise StoppedError

    first = _network(0, zeros=0.5)
    with pytest.raises(StoppedError):
        finetune(first, _rows(), QUICK, Sources(teacher=_network(0)), keep=keep, progress=stop)
    second = _network(0, zeros=0.5)
    tuned = finetune(second, _rows(), QUICK, Sources(teacher=_network(0), resume=keep))
    assert [look.step for look in tuned.looks] == [0, 20, 40, 60]
    assert to_bytes(second) == to_bytes(whole)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match="can be read"):
        finetune(_network(0), _rows(), QUICK, Sources(teacher=_network(0), resume=path))


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    finetune(_network(0), _rows(), QUICK, Sources(teacher=_network(0)), keep=path)
    other = Recipe(steps=60, batch=16, rate=1e-3, evaluate_every=20)
    with pytest.raises(DataError, match=r"rate was 0\.01 and is 0\.001"):
        finetune(_network(0), _rows(), other, Sources(teacher=_network(0), resume=path))
    with pytest.raises(DataError, match="network was"):
        finetune(_network(1), _rows(), QUICK, Sources(teacher=_network(0), resume=path))


def test_patience_ends_a_run_that_learns_nothing():
    recipe = Recipe(steps=200, batch=8, rate=1e-9, evaluate_every=5, patience=3, take="best")
    tuned = finetune(_network(0), _rows(), recipe, Sources(teacher=_network(0)))
    assert tuned.looks[-1].step < 200
    assert tuned.taken_step == 0


def test_random_weights_keep_zeros_and_are_others():
    student = _network(0, zeros=0.5)
    before = _arrays(_network(0, zeros=0.5))
    recipe = Recipe(steps=1, batch=4, rate=1e-9, init="random", hold_out=0.0, seed=3)
    finetune(student, _rows(), recipe, Sources(teacher=_network(0)))
    after = _arrays(student)
    assert np.array_equal(after["w1"] == 0, before["w1"] == 0)
    assert np.corrcoef(after["w1"].ravel(), before["w1"].ravel())[0, 1] < 0.3
    assert np.abs(after["b1"]).max() < 1e-6
    # He's variance over the weights that are there.
    per_output = (after["w1"] != 0).sum() / len(after["w1"])
    assert after["w1"][after["w1"] != 0].std() == pytest.approx((2 / per_output) ** 0.5, rel=0.25)


def test_rewinding_takes_early_weights_under_the_zeros():
    student, early = _network(0, zeros=0.5), _network(5)
    recipe = Recipe(steps=1, batch=4, rate=1e-9, init="rewind", hold_out=0.0)
    finetune(student, _rows(), recipe, Sources(teacher=_network(0), early=early))
    mask = _arrays(_network(0, zeros=0.5))["w1"] != 0
    np.testing.assert_allclose(_arrays(student)["w1"], _arrays(early)["w1"] * mask, atol=1e-6)


def test_rewinding_cuts_the_early_network_as_the_trained_one_was():
    whole, early = _network(0), _network(5)
    for model in (whole, early):
        set_array(model.graph.initializers["b1"], np.ones(8, np.float32))
    pruned = whole.clone()
    optimize(pruned, Pipeline.parse("infer-shapes,prune-channels{ratio=0.4}"))
    trained_kernel, kernel = _arrays(whole)["w1"], _arrays(pruned)["w1"]
    assert len(kernel) < len(trained_kernel)
    left = [int((trained_kernel == row).all(axis=(1, 2, 3)).argmax()) for row in kernel]
    recipe = Recipe(loss="distillation", steps=1, batch=4, rate=1e-9, init="rewind", hold_out=0.0)
    finetune(pruned, _rows(), recipe, Sources(teacher=whole, early=early))
    for name in ("w1", "b1"):  # numbers that are all equal do not tell their channels
        np.testing.assert_allclose(_arrays(pruned)[name], _arrays(early)[name][left], atol=1e-6)


NORMED_NET = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch,3,8,8] x) => (float[batch,2,8,8] y)
<float[4] m = {0,0,0,1}, float[4] v = {1,1,1,2}, float[4] s = {4,3,2,1}, float[4] b = {1,2,3,4}> {
  a = Conv<kernel_shape = [1,1]>(x, w1)
  n = BatchNormalization(a, s, b, m, v)
  y = Conv<kernel_shape = [1,1]>(n, w2)
}
"""


def _normed(seed):
    rng = np.random.default_rng(seed)
    proto = onnx.parser.parse_model(NORMED_NET)
    for name, shape in {"w1": (4, 3, 1, 1), "w2": (2, 4, 1, 1)}.items():
        array = rng.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return from_proto(proto)


def test_rewinding_tells_equal_statistics_apart_by_their_scales():
    """Channels that are always zero have equal means; early in training they had not."""
    whole, early = _normed(0), _normed(1)
    set_array(early.graph.initializers["m"], np.array([5, 6, 7, 8], np.float32))
    pruned = whole.clone()
    optimize(pruned, Pipeline.parse("infer-shapes,prune-channels{ratio=0.5}"))
    scales = _arrays(pruned)["s"].tolist()
    assert 0 < len(scales) < 4
    recipe = Recipe(steps=1, batch=4, rate=1e-9, init="rewind", hold_out=0.0)
    finetune(pruned, _rows(), recipe, Sources(teacher=whole, early=early))
    expected = [[5, 6, 7, 8][[4, 3, 2, 1].index(scale)] for scale in scales]
    assert _arrays(pruned)["m"].tolist() == expected


def test_rewinding_to_another_network_is_refused():
    early = _network(5, text=NET.replace("w1", "v1"))
    recipe = Recipe(steps=1, init="rewind")
    with pytest.raises(DataError, match="no weight 'w1'"):
        finetune(_network(0), _rows(), recipe, Sources(teacher=_network(0), early=early))


QUANTISED = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch,3,8,8] x) => (float[batch,5,8,8] y)
<float sx = {0.03}, int8 zx = {0}, float[5] sw = {0.01,0.02,0.01,0.03,0.02},
 int8[5] zw = {0,0,0,0,0}> {
  q = QuantizeLinear(x, sx, zx)
  d = DequantizeLinear(q, sx, zx)
  wd = DequantizeLinear<axis = 0>(w, sw, zw)
  y = Conv<kernel_shape = [1,1]>(d, wd, b)
}
"""


def _quantised(seed):
    rng = np.random.default_rng(seed)
    proto = onnx.parser.parse_model(QUANTISED)
    w = rng.integers(-100, 100, (5, 3, 1, 1)).astype(np.int8)
    b = rng.standard_normal(5).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(b, "b"))
    return from_proto(proto)


def test_a_quantised_network_is_trained_through_its_q_dq():
    student, teacher = _quantised(0), _quantised(1)
    inputs = {"x": _rows(3).arrays["x"].numpy()}
    module = GraphModule(student).eval()
    found = module({"x": torch.from_numpy(inputs["x"])})["y"].detach().numpy()
    np.testing.assert_allclose(found, run(student, inputs)["y"], atol=1e-5)
    recipe = Recipe(steps=200, batch=16, rate=3e-2, evaluate_every=50)
    tuned = finetune(student, _rows(), recipe, Sources(teacher=teacher))
    assert tuned.looks[-1].held_out < 0.2 * tuned.looks[0].held_out
    after = _arrays(student)
    assert after["w"].dtype == np.int8
    assert not np.array_equal(after["w"], _arrays(_quantised(0))["w"])
    assert np.array_equal(after["sw"], _arrays(_quantised(0))["sw"])


NORMED = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[4,3,8,8] x) => (float[4,3,8,8] y)
<float[3] s = {1,1,1}, float[3] b = {0,0,0}, float[3] m = {0,0,0}, float[3] v = {1,1,1}> {
  n = BatchNormalization(x, s, b, m, v)
  y = Relu(n)
}
"""


def test_a_random_start_knows_nothing_of_normalisations():
    trained = {"s": [3, 4, 5], "b": [1, 2, 3], "m": [7, 8, 9], "v": [2, 3, 4]}
    model = from_proto(onnx.parser.parse_model(NORMED))
    for name, numbers in trained.items():
        set_array(model.graph.initializers[name], np.array(numbers, np.float32))
    recipe = Recipe(steps=1, init="random", hold_out=0.0, rate=1e-9)
    finetune(model, _rows(), recipe, Sources(teacher=model.clone()))
    after = _arrays(model)
    for name, start in {"s": 1, "b": 0, "m": 0, "v": 1}.items():
        assert after[name] == pytest.approx(start, abs=1e-6), name


@pytest.mark.parametrize("updated", [False, True])
def test_statistics_follow_the_batches_where_asked(updated):
    model = from_proto(onnx.parser.parse_model(NORMED))
    shifted = Rows({"x": _rows().arrays["x"] + 3})
    recipe = Recipe(steps=30, batch=16, update_statistics=updated, hold_out=0.0, rate=1e-6)
    finetune(model, shifted, recipe, Sources(teacher=model.clone()))
    mean = _arrays(model)["m"]
    assert mean == pytest.approx([3, 3, 3], abs=0.3) if updated else not mean.any()
    assert model.graph.inputs[0].shape[0] == 4  # the graph keeps its batch


@pytest.mark.parametrize(
    ("recipe", "sources", "error", "message"),
    [
        (Recipe(loss="labels"), {}, DataError, "needs labels"),
        (Recipe(), {}, UsageError, "needs a teacher"),
        (Recipe(init="rewind"), {"teacher": 0}, UsageError, "go together"),
    ],
)
def test_what_is_missing_is_said(recipe, sources, error, message):
    found = Sources(**{name: _network(seed) for name, seed in sources.items()})
    with pytest.raises(error, match=message):
        finetune(_network(0), _rows(), recipe, found)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"rate": 0.0}, {"hold_out": 1.0}, {"hints": -1.0}, {"temperature": -1}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match="must be"):
        Recipe(**wrong)


def test_an_operator_that_is_not_known_is_named():
    model = from_proto(
        onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2,3] x) => (int64[2,n] y) { y = NonZero(x) }
    """)
    )
    with pytest.raises(UsageError, match=r"NonZero has no form in torch here"):
        GraphModule(model)


def test_permuted_channels_are_found_again():
    teacher, student = _network(0), _network(0, zeros=0.3)
    order = np.random.default_rng(1).permutation(8)
    arrays = _arrays(student)
    for name, array in {
        "w1": arrays["w1"][order],
        "b1": arrays["b1"][order],
        "w2": arrays["w2"][:, order],
    }.items():
        set_array(student.graph.initializers[name], np.ascontiguousarray(array))
    (hint,) = find_hints(GraphModule(student).eval(), GraphModule(teacher).eval(), _rows())
    assert hint.ours.tolist() == list(range(8))
    assert hint.theirs.tolist() == order.tolist()
    looks = finetune(student, _rows(), QUICK, Sources(teacher=teacher)).looks
    assert looks[-1].held_out < 0.9 * looks[0].held_out


def test_activations_that_are_nothing_alike_are_no_hints():
    modules = (GraphModule(_network(seed)).eval() for seed in (0, 9))
    found = find_hints(*modules, _rows())
    assert not found or len(found[0].ours) < 8
