from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass

from lprc.core.errors import DataError, LprcError
from lprc.core.graph.annotations import RANGE, Range, range_of
from lprc.core.onnx_io import model_io
from lprc.passes.calibrate import FEWEST, Calibrate

TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3] x) => (float[N,3] y) <float two = {2.0}, float zero = {0.0}> {
    [scale] a = Mul(x, two) [relu] r = Relu(a) [dead] d = Mul(r, zero) [sum] y = Add(r, d)
}"""


def network(text: str = TEXT) -> ir.Model:
    proto = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text))
    return model_io.from_proto(proto)


class Lazy(Sequence):
    """Samples that are made when they are looked at; a list of them would be large."""

    def __init__(self, count: int, sides: int = 3, **changes: np.ndarray) -> None:
        self.count, self.sides, self.changes = count, sides, changes
        self.seen: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if index >= self.count:
            raise IndexError
        self.seen.append(index)
        array = np.random.default_rng(index).standard_normal((1, self.sides))
        return {"x": self.changes.get(f"sample{index}", array).astype(np.float32)}


def ranges(model: ir.Model) -> dict[str, Range | None]:
    values = [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]
    return {value.name: range_of(value) for value in values}


def test_min_max_is_the_range_of_all_samples():
    model, samples = network(), Lazy(20)
    context = apply_pass(model, Calibrate(method="min-max"), calibration=samples)
    together = np.concatenate([sample["x"] for sample in samples])
    low, high = float(together.min()), float(together.max())
    assert ranges(model) == {
        "x": Range(low, high), "a": Range(2 * low, 2 * high), "r": Range(0, 2 * high),
        "d": Range(0, 0), "y": Range(0, 2 * high),
    }  # fmt: skip
    assert [item.note for item in context.rewrites] == ["5 ranges from 20 samples, min-max"]
    assert [(skip.node, skip.reason) for skip in context.skips] == [
        ("dead", "zero on every sample; it will quantise with scale 1")
    ]


def test_nothing_but_the_ranges_changes():
    model = network()
    before = model_io.to_bytes(model)
    apply_pass(model, Calibrate(), calibration=Lazy(8))
    after = model_io.to_proto(model)
    weights = {tensor.name for tensor in after.graph.initializer}
    for value in [*after.graph.input, *after.graph.output, *after.graph.value_info]:
        if value.name in weights:
            continue
        assert [entry.key for entry in value.metadata_props] == [RANGE]
        del value.metadata_props[:]
    plain = network()
    apply_pass(plain, Calibrate(), calibration=Lazy(8), limit=0)
    assert not ranges(plain)["x"]
    assert len(before) < len(model_io.to_bytes(model))
    assert [node.op_type for node in after.graph.node] == ["Mul", "Relu", "Mul", "Add"]


def test_some_of_the_samples():
    model, samples = network(), Lazy(50)
    apply_pass(model, Calibrate(samples=9), calibration=samples)
    assert set(samples.seen) == set(range(9))


@pytest.mark.parametrize(
    "method", ["min-max", "moving-average", "percentile", "entropy", "mse", "task"]
)
def test_same_text_twice(method):
    first, second = network(), network()
    for model in (first, second):
        apply_pass(model, Calibrate(method=method), calibration=Lazy(10))
    assert model_io.to_bytes(first) == model_io.to_bytes(second)
    assert all(ranges(first).values())


def test_ranges_outlive_a_file(tmp_path):
    model = network()
    apply_pass(model, Calibrate(), calibration=Lazy(8))
    model_io.save(model, tmp_path / "model.onnx")
    assert ranges(model_io.load(tmp_path / "model.onnx")) == ranges(model)


@pytest.mark.parametrize(
    ("samples", "message", "hint"),
    [
        (Lazy(0), "calibration data are needed", "--calib"),
        (Lazy(FEWEST - 1), f"{FEWEST - 1} calibration samples are too few", f"at least {FEWEST}"),
        (Lazy(9, sample4=np.array([[1, np.nan, 0]])), "activation 'x' at calibration sample 5: NaN or infinite", "remove"),
        (Lazy(9, sample0=np.array([[1, np.inf, 0]])), "activation 'x' at calibration sample 1: NaN", "remove"),
        (Lazy(9, sample8=np.array([[1, 3e38, 0]])), "activation 'a' at calibration sample 9: NaN", "remove"),
    ],
    ids=["none", "too few", "NaN", "infinite", "overflow"],
)  # fmt: skip
def test_bad_data(samples, message, hint):
    with pytest.raises(DataError, match=hint) as caught:
        apply_pass(network(), Calibrate(), calibration=samples)
    with pytest.raises(DataError, match=message):
        raise caught.value


def test_too_few_samples_are_chosen():
    with pytest.raises(DataError, match="3 calibration samples are too few"):
        apply_pass(network(), Calibrate(samples=3), calibration=Lazy(100))


@pytest.mark.parametrize(
    "sample",
    [
        {"x": np.zeros((1, 4), np.float32)},
        {"x": np.zeros((1, 3), np.int64)},
        {"z": np.zeros(3)},
        {},
    ],
    ids=["shape", "type", "name", "nothing"],
)
def test_data_that_do_not_fit(sample):
    with pytest.raises(LprcError):
        apply_pass(network(), Calibrate(), calibration=[sample] * FEWEST)


@pytest.mark.parametrize(
    ("option", "message"), [({"percentile": 40.0}, "50 to 100"), ({"samples": -1}, "negative")]
)
def test_options(option, message):
    with pytest.raises(ValueError, match=message):
        Calibrate(**option)


def test_a_graph_without_floats_needs_no_data():
    text = '<ir_version: 9, opset_import: ["" : 20]> g (int64[2] x) => (int64[2] y) { y = Neg(x) }'
    assert not apply_pass(network(text), Calibrate()).rewrites


def test_float16_and_subgraphs_get_no_ranges():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[1,3] x, bool flag) => (float[1,3] y) {
        h = Cast<to=10>(x) i = Cast<to=1>(h)
        y = If(flag) <then_branch = t1 () => (float[1,3] j) { k = Neg(i) j = Neg(k) },
                      else_branch = t2 () => (float[1,3] l) { l = Abs(i) }>
    }"""
    model = network(text)
    samples = [{**sample, "flag": np.array(True)} for sample in Lazy(8)]
    apply_pass(model, Calibrate(), calibration=samples)
    assert {name for name, found in ranges(model).items() if found} >= {"x", "i"}
    assert ranges(model)["h"] is None


def peak(count: int) -> int:
    text = TEXT.replace("N,3", "N,300")
    model, samples = network(text), Lazy(count, sides=300)
    samples.seen = Forgetful()
    tracemalloc.start()
    apply_pass(model, Calibrate(), calibration=samples)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


class Forgetful(list):
    def append(self, item: object) -> None:
        pass


def test_ten_thousand_samples_need_no_more_memory_than_a_hundred():
    peak(10)
    assert peak(10_000) <= 1.2 * peak(100)


BEHIND = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,64] x) => (float[N,64] y)
<float zero = {0.0}, float two = {2.0}, float six = {6.0}, float[64] slopes = {SLOPES}>
{ a = Mul(x, two) r = ACTIVATION y = Neg(r) }""".replace("SLOPES", ",".join(["0.125"] * 64))


def behind(activation: str, **options) -> dict[str, Range | None]:
    model = network(BEHIND.replace("ACTIVATION", activation))
    calibrate = Calibrate(scheme="asymmetric", **options)
    apply_pass(model, calibrate, calibration=Lazy(64, sides=64))
    return ranges(model)


@pytest.mark.parametrize(
    ("activation", "lowest"),
    [
        ("HardSwish(a)", -3.2), ("Gelu(a)", -3.0), ("Clip(a, zero, six)", -0.2),
        ("PRelu(a, slopes)", -6.0), ("LeakyRelu<alpha=0.125>(a)", -6.0),
    ],
)  # fmt: skip
def test_a_range_leaves_out_what_the_activation_behind_it_does_not_tell_apart(activation, lowest):
    own, useful = behind(activation), behind(activation, behind_activation=True)
    assert own["a"].low < lowest < useful["a"].low <= 0
    assert useful["a"].high > 0.8 * own["a"].high
    assert {name: own[name] for name in "xry"} == {name: useful[name] for name in "xry"}


@pytest.mark.parametrize("activation", ["Relu(a)", "Neg(a)", "Mul(a, two)", "PRelu(a, x)"])
def test_a_range_of_a_value_that_no_such_activation_reads_is_its_own(activation):
    assert behind(activation) == behind(activation, behind_activation=True)


def test_a_range_of_a_value_that_something_else_reads_too_is_its_own():
    body = "Gelu(a) other = Neg(a)"
    assert behind(body) == behind(body, behind_activation=True)
