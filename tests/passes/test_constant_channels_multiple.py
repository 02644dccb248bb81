"""eliminate-constant-channels keeps a multiple of so many channels, where there are enough."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.passing.pipeline import Pipeline
from lprc.passes.eliminate_constant_channels import EliminateConstantChannels

WIDTH = 16


def network(body: str, alive: list[int], *, positive: bool = False, second: tuple[int, ...] = ()):
    """Convs w and u with WIDTH filters, of which only `alive` and `second` are not zero."""
    generator = np.random.default_rng(5)
    normal = generator.standard_normal
    text = f"""<ir_version: 9, opset_import: ["" : 20]>
    g (float[N,3,6,6] x) => (float[A,B,C,D] y) <int64[1] start = {{0}}, int64[1] middle = {{8}},
    int64[1] end = {{99}}, int64[1] axis = {{1}}, int64[1] two = {{2}}> {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    bias = np.abs(normal(WIDTH)) + 0.1
    arrays = {
        "w": normal((WIDTH, 3, 1, 1)), "u": normal((WIDTH, 3, 1, 1)),
        "b": bias if positive else -bias, "v": normal((2, WIDTH, 1, 1)),
        "padded": normal((2, WIDTH, 3, 3)), "half": normal((2, 8, 1, 1)),
    }  # fmt: skip
    for name, kept in (("w", alive), ("u", list(second))):
        arrays[name][[row for row in range(WIDTH) if row not in kept]] = 0
    used = {name for node in model.graph.node for name in node.input}
    for name in used & arrays.keys():
        array = numpy_helper.from_array(arrays[name].astype(np.float32), name)
        model.graph.initializer.append(array)
    return model_io.from_proto(model)


def widths(found) -> dict[str, int]:
    """The number of channels that Convs and Slices put out; Slices by their operator."""
    return {
        "Slice" if node.op_type == "Slice" else node.outputs[0].name: editing.dimension(
            node.outputs[0], 1
        )
        for node in found.model.graph
        if node.op_type in ("Conv", "Slice")
    }


PLAIN = "a = Conv(x, w, b) r = Relu(a) y = Conv(r, v)"
PADDED = "a = Conv(x, w, b) r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, padded)"


@pytest.mark.parametrize(
    ("multiple", "kept"), [(1, 5), (2, 6), (3, 6), (4, 8), (5, 5), (8, 8), (12, 12), (17, 5)]
)
def test_constant_channels_fill_up(rewrite, multiple, kept):
    found = rewrite(network(PLAIN, [0, 3, 7, 8, 15]), EliminateConstantChannels(multiple=multiple))
    assert widths(found)["a"] == kept
    assert not found.reasons


def test_nothing_goes_where_all_are_needed_for_the_multiple(rewrite):
    found = rewrite(network(PLAIN, [0, 3, 7, 8, 15]), EliminateConstantChannels(multiple=16))
    assert found.reasons == ["every channel is kept for the multiple"]
    assert not found.context.rewrites


@pytest.mark.parametrize(("multiple", "kept"), [(1, 4), (4, 4), (5, 5), (8, 8), (11, 11), (20, 4)])
def test_channels_that_fill_up_are_not_merged(rewrite, multiple, kept):
    """Three channels and the one that the others are merged into."""
    model = network(PADDED, [0, 3, 7], positive=True)
    found = rewrite(model, EliminateConstantChannels(multiple=multiple))
    assert widths(found)["a"] == kept


def test_a_sum_of_two_convs_fills_up_in_both(rewrite):
    body = "a = Conv(x, w, b) c = Conv(x, u, b) s = Add(a, c) r = Relu(s) y = Conv(r, v)"
    model = network(body, [0, 3], second=(3, 4, 9))
    found = rewrite(model, EliminateConstantChannels(multiple=3))
    # Four channels are alive in one of them.
    assert (widths(found)["a"], widths(found)["c"]) == (6, 6)


SLICE = (
    "a = Conv(x, w, b) r = Relu(a) s = Slice(r, start, middle, axis) p = Conv(s, half)"
    " q = Conv(r, v) y = Add(p, q)"
)


@pytest.mark.parametrize(
    ("alive", "multiple", "whole", "sliced"),
    [
        ([0, 1, 2, 9], 4, 8, 4),
        ([0, 1, 2, 9, 10], 4, 8, 4),
        ([0, 8, 9, 10], 4, 8, 4),
        # The Slice has no spare channels, and the rest fills up all the same.
        ([0, 1, 2, 3, 4, 5, 6, 7, 9], 6, 12, 8),
        # Neither has enough.
        ([0, 1, 2, 3, 9], 20, 5, 4),
    ],
)
def test_a_slice_fills_up_first(rewrite, alive, multiple, whole, sliced):
    found = rewrite(network(SLICE, alive), EliminateConstantChannels(multiple=multiple))
    assert (widths(found)["a"], widths(found)["Slice"]) == (whole, sliced)


def test_where_more_channels_would_block_fewer_stay(rewrite):
    """Channels 0, 2 and 4 are next to each other only if 1 and 3 go."""
    body = (
        "a = Conv(x, w, b) r = Relu(a) s = Slice(r, start, end, axis, two) p = Conv(s, half)"
        " q = Conv(r, v) y = Add(p, q)"
    )
    found = rewrite(network(body, [0, 2, 4]), EliminateConstantChannels(multiple=10))
    assert widths(found)["a"] == 3
    assert not found.reasons


def test_a_second_run_changes_nothing(rewrite):
    item = EliminateConstantChannels(multiple=4)
    once = rewrite(network(PLAIN, [0, 3, 7, 8, 15]), item)
    twice = rewrite(once.model, item)
    assert not twice.context.rewrites
    assert twice.reasons == ["every channel is kept for the multiple"]


def test_a_multiple_of_nothing_is_refused():
    with pytest.raises(UsageError, match="multiple must be at least 1, not 0"):
        Pipeline.parse("eliminate-constant-channels{multiple=0}")
