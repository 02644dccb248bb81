"""Which sizes a symbolic dimension takes, and what is said where that is not known."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from engines import SMALL, emitted, saved

from lprc.compiler.compile import emit
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.errors import UsageError
from lprc.core.options import from_texts
from lprc.core.running.numerics import Session
from lprc.targets.tensorrt_options import TensorRTOptions
from lprc.targets.tensorrt_profiles import profiles
from lprc.targets.tensorrt_samples import batch, fitting


def graph(*inputs):
    """A graph with inputs such as ``float[N,3] x``."""
    return ir.from_onnx_text(
        f'<ir_version: 10, opset_import: ["" : 21]> g ({", ".join(inputs)}) => (float y) '
        "{ y = Constant <value_float = 1.0> () }"
    )


def found(*inputs, **options):
    given = {key: (value,) if isinstance(value, str) else value for key, value in options.items()}
    return profiles(graph(*inputs), from_texts(TensorRTOptions, given, "target"))


def test_static_inputs_have_none():
    assert found("float[2,3] x", "float s") == {}


def test_a_batch_takes_the_option_batch():
    assert found("float[N,3] x", "float[2] a", "float[N] m", batch="1/2/4") == {
        "x": [(1, 3), (2, 3), (4, 3)],
        "m": [(1,), (2,), (4,)],
    }


def test_a_profile_goes_before_the_batch():
    shapes = [(1, 3, 8), (1, 3, 16), (2, 3, 32)]
    assert found(
        "float[N,3,L] x", "float[N,3] m", profile="x:1x3x8/1x3x16/2x3x32", batch="1/1/2"
    ) == {"x": shapes, "m": [(1, 3), (1, 3), (2, 3)]}


def test_a_profile_of_one_input_goes_for_the_symbols_of_another():
    profile = "x:1x3x8/2x3x16/4x3x32"
    assert found(
        "float[N,3,L] x", "float[N,L] mask", "float[L,M] z", profile=(profile, "z:8x1/16x2/32x3")
    ) == {
        "x": [(1, 3, 8), (2, 3, 16), (4, 3, 32)],
        "mask": [(1, 8), (2, 16), (4, 32)],
        "z": [(8, 1), (16, 2), (32, 3)],
    }
    with pytest.raises(UsageError, match=r"has symbolic dimensions besides") as caught:
        found("float[N,3,L] x", "float[N,L,M] mask", profile=profile)
    assert caught.value.hint.startswith("-O profile=mask:1x8x8/2x16x8/4x32x8: ")


def test_two_profiles_that_give_a_symbol_other_sizes_are_refused():
    with pytest.raises(UsageError, match=r"'L' is 8/8/8, and 8/16/32 in another one") as caught:
        found("float[L] x", "float[L] z", profile=("x:8/16/32", "z:8/8/8"))
    assert caught.value.where == "profile of input 'z'"


def test_an_initializer_is_no_input():
    model = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) '
        "<float[2] w = {1, 2}> { y = Add (x, w) }"
    )
    model.graph.inputs.append(model.graph.initializers["w"])
    assert profiles(model, TensorRTOptions()) == {}
    options = from_texts(TensorRTOptions, {"profile": ("w:2/2/2",)}, "target")
    with pytest.raises(UsageError, match="no input 'w'"):
        profiles(model, options)


@pytest.mark.parametrize("shape", ["N,3,H,W", "1,3,H,W"])
def test_symbolic_dimensions_without_a_profile(shape):
    with pytest.raises(UsageError) as caught:
        found(f"float[{shape}] image")
    assert caught.value.where == "input 'image'"
    assert "has symbolic dimensions besides a batch, and no profile" in caught.value.message
    assert "H" in caught.value.message
    assert caught.value.hint.startswith("-O profile=image:")
    # The hint can be followed as it is.
    profile = caught.value.hint.removeprefix("-O profile=").partition(": ")[0]
    assert found(f"float[{shape}] image", profile=profile)


def test_a_refusal_suggests_the_sizes_of_the_samples():
    model = graph("float[N,3,H,W] image")
    samples = [{"image": np.zeros((1, 3, height, 96), np.float32)} for height in (64, 32, 128)]
    with pytest.raises(UsageError) as caught:
        profiles(model, TensorRTOptions(), samples)
    assert caught.value.hint == (
        "-O profile=image:1x3x32x96/1x3x64x96/1x3x128x96: least/usual/greatest"
    )


def test_an_unknown_rank_without_a_profile():
    model = graph("float[N] x")
    model.graph.inputs[0].shape = None
    with pytest.raises(UsageError, match="its shape of unknown rank has symbolic"):
        profiles(model, TensorRTOptions())
    options = from_texts(TensorRTOptions, {"profile": ("x:1x2/1x2/3x2",)}, "target")
    assert profiles(model, options) == {"x": [(1, 2), (1, 2), (3, 2)]}


@pytest.mark.parametrize(
    ("profile", "where", "message"),
    [
        ("z:1x3/1x3/1x3", "profile", "the model has no input 'z'"),
        ("x:1x3x1/1x3x1/1x3x1", "profile of input 'x'", "1x3x1 does not fit the shape [N,3]"),
        ("x:1x4/1x4/1x4", "profile of input 'x'", "1x4 does not fit the shape [N,3]"),
        ("x:1x3/1x3/1x4", "profile of input 'x'", "1x4 does not fit the shape [N,3]"),
        ("s:3/3/3", "profile of input 's'", "3 does not fit the shape [2]"),
    ],
)
def test_a_profile_that_does_not_fit(profile, where, message):
    with pytest.raises(UsageError) as caught:
        found("float[N,3] x", "float[2] s", profile=profile)
    assert (caught.value.where, caught.value.message) == (where, message)


@pytest.mark.parametrize("emit", ["engine", "kit"])
def test_nothing_is_left_behind(tmp_path, emit):
    if emit == "engine":
        pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(SMALL, tmp_path / "m.onnx", ("float[N,4,8,8] x", "float[N,4,H,8] x"))
    with pytest.raises(UsageError, match="input 'x': its shape"):
        emitted(source, "trt-fp32", tmp_path / "out", emit=emit)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_other_symbolic_dimensions(tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source = saved(
        SMALL,
        tmp_path / "m.onnx",
        ("float[N,4,8,8] x", "float[N,4,H,W] x"),
        ("float[N,4,8,8] y", "float[N,4,H,W] y"),
    )
    profile = "x:1x4x8x8/1x4x16x8/2x4x32x32"
    report = emitted(source, "trt-fp32", tmp_path / "out", profile=profile).emitted.report
    assert report["profiles"] == {"x": [[1, 4, 8, 8], [1, 4, 16, 8], [2, 4, 32, 32]]}


def samples(*batches, width=3):
    return [{"x": np.full((batch, width), index)} for index, batch in enumerate(batches)]


ONE = {"x": [(1, 3), (1, 3), (4, 3)]}


@pytest.mark.parametrize(
    ("given", "allowed", "rows"),
    [
        (samples(1, 1), ONE, [0, 1]),
        (samples(1, 1, 1, 1, 1), ONE, [0, 1, 2, 3]),
        (samples(2, 3, 4), ONE, [0, 0, 1, 1]),
        # A least batch that is more than there are.
        (samples(1, 1), {"x": [(3, 3), (4, 3), (4, 3)]}, [0, 1, 0]),
        (samples(1), {"x": [(3, 3), (4, 3), (4, 3)]}, [0, 0, 0]),
    ],
)
def test_a_batch_of_samples(given, allowed, rows):
    assert batch(graph("float[N,3] x"), given, allowed)["x"][:, 0].tolist() == rows


def test_samples_of_a_static_batch_are_not_put_together():
    assert batch(graph("float[2,3] x"), samples(2, 2), {})["x"].shape == (2, 3)


def test_inputs_are_made_up_where_samples_do_not_fit():
    model = graph("float[N,L] x")
    allowed = {"x": [(2, 8), (3, 16), (4, 16)]}
    assert batch(model, samples(1, 1), allowed)["x"].shape == (3, 16)
    assert [each["x"].shape for each in fitting(model, samples(1, 1), allowed)] == [(3, 16)]
    assert model.graph.inputs[0].shape[1] == "L"


def test_only_samples_that_fit_are_run():
    found = fitting(graph("float[N,3] x"), samples(1, 9, 4), ONE)
    assert [each["x"].shape[0] for each in found] == [1, 4]


def test_an_engine_is_verified_on_sizes_that_it_takes(tmp_path, monkeypatch):
    """As on a machine with a GPU; ONNX Runtime stands for the engine."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    source, out, ran = saved(SMALL, tmp_path / "m.onnx"), tmp_path / "out", []

    class Runner:
        def run(self, inputs):
            ran.append(inputs["x"].shape)
            return Session(source.read_bytes()).run(inputs)

    class Here:
        name = "tensorrt"

        def open(self, job):
            return Runner()

    monkeypatch.setattr(emit, "obstacle", lambda goal, options: None)
    monkeypatch.setattr(emit, "runtime", lambda name: Here())
    options = {"batch": ("3/4/8",)}
    compiled = compile_model(compile_request(source, "trt-fp32", out, passes="", options=options))
    assert ran == [(3, 4, 8, 8)]
    assert [delta.max_abs for delta in compiled.deltas] == [0.0]
