"""Inputs that fit, runs that say what failed, and comparisons that know each type."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lprc.core.onnx_io.model_io import save, to_bytes
from lprc.core.running.numerics import RunError, Session, compare, random_inputs, rounding, run
from lprc.core.running.random_inputs import NoInputsError


def model_of(body: str, opset: int = 20) -> ir.Model:
    return ir.from_onnx_text(f'<ir_version: 9, opset_import: ["" : {opset}, "my" : 1]>\n{body}')


# Random inputs


def test_inputs_have_the_shapes_and_types_of_the_graph():
    body = (
        "g (float[N,3] a, float16[N] b, int64[2,M] c, uint8[4] d, bool[1] e, string[2] f, "
        "double[?] h, float s) => (float[N,3] y) { y = Neg(a) }"
    )
    inputs = random_inputs(model_of(body))
    assert {name: (str(a.dtype), a.shape) for name, a in inputs.items()} == {
        "a": ("float32", (2, 3)),
        "b": ("float16", (2,)),
        "c": ("int64", (2, 2)),
        "d": ("uint8", (4,)),
        "e": ("bool", (1,)),
        "f": ("object", (2,)),
        "h": ("float64", (2,)),
        "s": ("float32", ()),
    }


def test_inputs_come_from_the_seed():
    model = model_of("g (float[8] x) => (float[8] y) { y = Neg(x) }")
    first, same, other = (random_inputs(model, seed=seed)["x"] for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_indices_into_a_table_without_that_axis_are_small():
    """ONNX refuses such a graph, which is asked for inputs all the same, to say so."""
    model = model_of("g (int64[2] i) => (float[2] y) <float t = {1}> { y = Gather<axis=1>(t, i) }")
    assert set(random_inputs(model, seed=0)["i"].tolist()) <= {0, 1, 2, 3}


def test_the_batch_binds_symbolic_first_dimensions():
    body = "g (float[N,3] a, float[3,N] b, float[4,3] c) => (float[N,3] y) { y = Neg(a) }"
    inputs = random_inputs(model_of(body), batch=5)
    assert [inputs[name].shape for name in "abc"] == [(5, 3), (3, 5), (4, 3)]


def test_an_initializer_among_the_inputs_keeps_its_default():
    body = "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1,2}> { y = Add(x, w) }"
    assert list(random_inputs(model_of(body))) == ["x"]


def test_indices_stay_within_the_axis():
    body = "g (float[5,2] x, int64[50] i) => (float[5,50] y) { y = Gather<axis=1>(x, i) }"
    model = model_of(body)
    inputs = random_inputs(model)
    assert set(inputs["i"].tolist()) == {0, 1}
    run(model, inputs)


@pytest.mark.parametrize(
    "node",
    [
        "Reshape(x, i)",
        "Expand(x, i)",
        "Tile(x, i)",
        "Unsqueeze(x, i)",
        "ReduceSum(x, i)",
        "Slice(x, i, i)",
        "Slice(x, zero, i, i)",
        "Slice(x, zero, two, zero, i)",
    ],
)
def test_integers_that_shape_something_are_legal(node):
    count = 1 if "zero" in node and "i, i" not in node else 2
    zero = ",".join(["0"] * count)
    weights = f"int64[{count}] zero = {{{zero}}}, int64[{count}] two = {{{zero.replace('0', '2')}}}"
    body = f"g (float[2,3] x, int64[{count}] i) => (float[?] y) <{weights}> {{ a = {node} "
    model = model_of(body + "y = Flatten(a) }")
    model.graph.outputs[0].shape = None
    for seed in range(5):
        run(model, random_inputs(model, seed=seed))


@pytest.mark.parametrize(
    "declared", ["seq(float[2])", "optional(float[2])", "float[1000000,1000000]"]
)
def test_inputs_that_cannot_be_made_up_are_an_error_of_their_own(declared):
    with pytest.raises(NoInputsError, match="input 'x'") as caught:
        random_inputs(model_of(f"g ({declared} x) => ({declared} y) {{ y = Identity(x) }}"))
    assert caught.value.hint


# Runs


def test_a_graph_runs_from_ir_bytes_and_file(tmp_path):
    model = model_of("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    save(model, tmp_path / "m.onnx")
    for source in (model, to_bytes(model), tmp_path / "m.onnx"):
        assert run(source, {"x": np.float32([1, 2])})["y"].tolist() == [-1, -2]


@pytest.mark.parametrize(
    ("body", "inputs", "message"),
    [
        ("g (float[2] x) => (float[2] y) { y = my.Frob(x) }", {}, "load.*Frob"),
        (
            "g (float[1,4,8,8] x) => (float[1,4,6,6] y) { [mp] y = MaxPool<kernel_shape=[1,3,3]>(x) }",
            {},
            r"load.*\(mp\).*MaxPool",
        ),
        (
            "g (float[2] x, int64[1] s) => (float[N] y) { [rs] y = Reshape(x, s) }",
            {"x": np.zeros(2, np.float32), "s": np.array([7])},
            "run.*'rs'.*cannot be reshaped",
        ),
        ("g (float[2] x) => (float[2] y) { y = Neg(x) }", {"x": np.zeros(3, np.float32)}, "Got: 3"),
        ("g (float[2] x) => (float[2] y) { y = Neg(x) }", {"x": np.zeros(2)}, "double"),
        ("g (float[2] x) => (float[2] y) { y = Neg(x) }", {}, "missing"),
    ],
)
def test_a_failure_is_one_line_that_names_the_node(body, inputs, message):
    with pytest.raises(RunError, match=message) as caught:
        run(model_of(body), inputs)
    assert "\n" not in str(caught.value)
    assert "ONNXRuntimeError" not in str(caught.value)
    assert "/onnxruntime" not in str(caught.value)


def test_what_is_no_model_is_a_run_error():
    with pytest.raises(RunError):
        Session(b"no model")


# Comparisons


def only(before, after, name="y"):
    (delta,) = compare({name: before}, {name: after})
    return delta


def test_floats_are_measured():
    delta = only(np.float32([1, -4, 2]), np.float32([1, -4.5, 2.25]))
    assert (delta.max_abs, delta.mean_abs, delta.magnitude) == (0.5, 0.25, 4.0)
    assert delta.relative == 0.125
    assert delta.within(0.125)
    assert not delta.within(0.124)
    assert str(delta) == "y: max 0.5, mean 0.25 of magnitude 4"


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3)))
def test_everything_equals_itself(array):
    assert only(array, array.copy()).within(0.0)


@given(
    hnp.arrays(np.float32, 6, elements=st.floats(-1e3, 1e3, width=32)),
    st.integers(0, 5),
    st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_nan_and_inf_must_stay_where_they_are(array, index, special):
    moved = array.copy()
    moved[index] = special
    assert only(moved, moved.copy()).within(0.0)
    assert only(array, moved).mismatch == "NaN or Inf appeared"
    assert only(moved, array).mismatch == "NaN or Inf moved"


def test_other_infinities_are_a_mismatch():
    assert only(np.float32([np.inf]), np.float32([-np.inf])).mismatch == "NaN or Inf moved"


@pytest.mark.parametrize(
    ("before", "after", "mismatch"),
    [
        (np.zeros(2, np.float32), np.zeros(3, np.float32), "is float32[3], was float32[2]"),
        (np.zeros(2, np.float32), np.zeros(2, np.float16), "is float16[2], was float32[2]"),
        (np.array([100000]), np.array([100001]), "1 of 1 elements differ"),
        (np.array([2**62]), np.array([2**62 + 1]), "1 of 1 elements differ"),
        (np.array([True, False]), np.array([True, True]), "1 of 2 elements differ"),
        (np.array(["a", "b"], object), np.array(["a", "c"], object), "1 of 2 elements differ"),
        (None, np.zeros(2, np.float32), "is float32[2]"),
    ],
)
def test_what_is_broken_at_any_tolerance(before, after, mismatch):
    delta = only(before, after)
    assert delta.mismatch is not None
    assert delta.mismatch.startswith(mismatch)
    assert not delta.within(1.0)
    assert mismatch in str(delta)


def test_integers_are_measured_too():
    delta = only(np.uint8([200, 3]), np.uint8([190, 3]))
    assert (delta.max_abs, delta.magnitude) == (10, 200)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3),
        np.array([True]),
        np.array(["a"], object),
        np.array([1 + 2j]),
        np.array([1.5, np.nan], ir.DataType.BFLOAT16.numpy()),
        np.array([1, -2], ir.DataType.INT4.numpy()),
        None,
        [],
        [np.zeros(2), np.zeros(3)],
        [{"a": 1.0}, {"b": 2.0}],
    ],
)
def test_every_kind_of_output_equals_itself(array):
    assert all(delta.within(0.0) for delta in compare({"y": array}, {"y": array}))


def test_complex_numbers_are_measured_in_both_parts():
    assert only(np.array([1 + 2j]), np.array([1 + 2.5j])).max_abs == 0.5


def test_bfloat16_is_measured():
    dtype = ir.DataType.BFLOAT16.numpy()
    assert only(np.array([2.0], dtype), np.array([2.5], dtype)).max_abs == 0.5


def test_sequences_are_compared_by_element():
    deltas = compare({"s": [np.zeros(2), np.ones(1)]}, {"s": [np.zeros(2), np.full(1, 3.0)]})
    assert [delta.name for delta in deltas if not delta.within(0.1)] == ["s[1]"]
    shorter = compare({"s": [np.zeros(2), np.ones(1)]}, {"s": [np.zeros(2)]})
    assert {delta.name for delta in shorter if delta.mismatch} == {"s.length", "s[1]"}


def test_outputs_that_go_and_come_are_a_mismatch():
    deltas = compare({"old": np.zeros(1)}, {"new": np.zeros(1)})
    assert [(delta.name, delta.mismatch) for delta in deltas] == [
        ("old", "is gone"),
        ("new", "a new output"),
    ]


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("float", 1e-7, 1e-5), ("float16", 5e-3, 1e-2), ("bfloat16", 3e-2, 0.1), ("int64", 0, 0)],
)
def test_rounding_is_that_of_the_coarsest_float(dtype, low, high):
    model = model_of(f"g ({dtype}[2] x) => ({dtype}[2] y) {{ y = Identity(x) }}")
    assert low <= rounding(model) <= high
