"""Sizes that nobody gave are searched for until the graph runs, the smallest first."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from lprc.core.errors import UsageError
from lprc.core.running import size_search
from lprc.core.running.input_sizes import given_sizes, symbolic_dimensions
from lprc.core.running.numerics import RunError, Session, run
from lprc.core.running.random_inputs import random_inputs
from lprc.core.running.size_search import UnrunnableError, made_up_inputs, runnable_inputs


def model_of(body: str) -> ir.Model:
    return ir.from_onnx_text(f'<ir_version: 9, opset_import: ["" : 20]>\n{body}')


NECK = """g (float[N,1,H,W] x) => (float[N,2,?,?] y)
<float[1,1,3,3] w = {1,2,3,4,5,6,7,8,9}, float[4] scales = {1,1,4,4}> {
    a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w)
    b = Conv<strides=[2,2], pads=[1,1,1,1]>(a, w)
    c = Conv<strides=[2,2], pads=[1,1,1,1]>(b, w)
    up = Resize<mode="nearest">(c, , scales)
    y = Concat<axis=1>(up, a)
}"""
"""A feature pyramid: only multiples of the stride give both branches one size."""

REFLECT = """g (float[1,T] x) => (float[?,?] y) <int64[4] pads = {0,40,0,40}> {
    y = Pad<mode="reflect">(x, pads) }"""
"""A voice activity detector pads by more than a short signal has."""

TWO_SIZES = """g (float[A,3] x, float[B,3] y) => (float[C,3] z) <int64[2] six = {6,3}> {
    a = Concat<axis=0>(x, y) b = Reshape(a, six) z = Concat<axis=0>(b, x) }"""
"""Only A + B = 6 runs."""

PAST = """g (float[1,S] x, float[1,P] past, float[1,T] mask) => (float[1,T] z) {
    a = Concat<axis=1>(past, x) z = Add(a, mask) }"""


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        (NECK, {"H": 8, "W": 8}),
        (REFLECT, {"T": 48}),
        (PAST, {"S": 2, "P": 2, "T": 4}),
    ],
)
def test_the_smallest_sizes_that_run_are_chosen(body, labels):
    model = model_of(body)
    with pytest.raises(RunError):
        run(model, random_inputs(model, sizes=given_sizes(model, dict.fromkeys(labels, 3), "m")))
    made = runnable_inputs(model, Session(model).run_within)
    assert made.invented == labels
    assert all(output.size for output in run(model, made.arrays).values())
    again = random_inputs(model, sizes=made.sizes)
    assert all(np.array_equal(array, again[name]) for name, array in made.arrays.items())


def test_several_first_dimensions_are_searched_apart():
    made = runnable_inputs(model_of(TWO_SIZES), Session(model_of(TWO_SIZES)).run_within)
    assert made.arrays["x"].shape[0] + made.arrays["y"].shape[0] == 6
    assert made.invented == {}


def test_what_is_given_stays_and_the_rest_is_searched():
    model = model_of(NECK)
    sizes = given_sizes(model, {"H": 64, "x:0": 3}, "m")
    made = runnable_inputs(model, Session(model).run_within, sizes=sizes)
    assert made.arrays["x"].shape == (3, 1, 64, 8)
    assert made.invented == {"W": 8}


def test_a_symbol_of_two_inputs_is_one_size():
    model = model_of("g (float[N,L] x, int64[L] ids) => (float[N,L] y) { y = Identity(x) }")
    assert [dim.label for dim in symbolic_dimensions(model)] == ["N", "L"]
    inputs = random_inputs(model, sizes=given_sizes(model, {"ids:0": 5}, "m"))
    assert (inputs["x"].shape, inputs["ids"].shape) == ((2, 5), (5,))


def test_sizes_without_a_name_are_called_by_their_place():
    model = model_of("g (float[N,?,?] x) => (float[N,?,?] y) { y = Identity(x) }")
    assert [dim.label for dim in symbolic_dimensions(model)] == ["N", "x:1", "x:2"]
    sizes = given_sizes(model, {"x:2": 7}, "m")
    assert made_up_inputs(model, sizes=sizes)["x"].shape == (2, 2, 7)


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"height": 3}, r"m\.onnx has no symbolic dimension 'height' \(it has 'N' \(x:0\), 'H' "),
        ({"H": 0}, "'H' can't be 0"),
    ],
)
def test_a_dimension_that_is_not_there_is_refused(sizes, reason):
    with pytest.raises(UsageError, match=reason):
        given_sizes(model_of(NECK), sizes, "m.onnx")


def test_a_graph_that_runs_at_no_size_says_which_were_tried():
    body = "g (float[N,T] x) => (float y) <int64[2] s = {-1,4801}> { y = Reshape(x, s) }"
    model = model_of(body)
    with pytest.raises(UnrunnableError, match=r"\(sizes tried: N=2, T=2; N=1, T=2; …; ") as caught:
        made_up_inputs(model)
    assert "--dim" in caught.value.hint


def test_an_empty_output_counts_only_where_there_is_no_other():
    body = "g (float[1,T] x) => (float[1,?] y) <int64[1] a = {1}, int64[1] from = {40}, int64[1] to = {999}> { y = Slice(x, from, to, a) }"
    made = runnable_inputs(model_of(body), Session(model_of(body)).run_within)
    assert made.invented == {"T": 48}
    never = body.replace("{40}", "{999}")
    made = runnable_inputs(model_of(never), Session(model_of(never)).run_within)
    assert made.invented == {"T": 2}


def test_a_search_does_not_make_what_memory_can_not_hold(monkeypatch):
    """The product of all pairs of pixels: 2 ** 20 of them at 1024 x 1."""
    body = """g (float[1,T] x) => (float[?] y) <int64[2] s = {-1,1}, int64[2] t = {1,-1},
        int64[1] bad = {77777}> { a = Reshape(x, s) b = Reshape(x, t) c = MatMul(a, b)
        y = Reshape(c, bad) }"""
    model = model_of(body)
    monkeypatch.setattr(size_search, "MOST_VALUE_ELEMENTS", 1 << 18)
    monkeypatch.setattr(size_search, "_HARMLESS_ELEMENTS", 16)
    largest = 0
    session = Session(model)

    def watched(arrays, seconds):
        nonlocal largest
        largest = max(largest, arrays["x"].size)
        return session.run_within(arrays, seconds)

    with pytest.raises(UnrunnableError):
        runnable_inputs(model, watched)
    assert largest == 512


def test_token_ids_take_all_rows_of_their_table_and_no_more():
    body = """g (int64[1,64] ids, int64[1,64] kinds, int32[2] lengths) => (float[?,?,?] y)
    <float[50,2] table, float[2,2] two> {
        cast = Cast<to=7>(ids) a = Gather(table, cast)
        flat = Reshape<allowzero=0>(kinds, shape) b = Gather(two, flat)
        shape = Constant<value_ints=[-1,64]>() y = Add(a, b) }"""
    body = body.replace("shape = Constant<value_ints=[-1,64]>() ", "")
    body = body.replace("{\n", "{\n        shape = Constant<value_ints=[-1,64]>()\n", 1)
    inputs = random_inputs(model_of(body))
    assert 4 < inputs["ids"].max() < 50
    assert set(inputs["kinds"].flat) == {0, 1}


def test_lengths_of_sequences_are_at_least_one():
    body = """g (float[4,1,2] x, int32[1] n) => (float[4,1,1,2] y)
    <float[1,8,2] w, float[1,8,2] r> { y = LSTM<hidden_size=2>(x, w, r, , n) }"""
    inputs = random_inputs(model_of(body), seed=3)
    assert inputs["n"].tolist() == [1]
