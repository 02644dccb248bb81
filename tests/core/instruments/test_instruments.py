"""Instruments find passes that break their promise, lie or dawdle, and leave evidence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from lprc.core.errors import LprcError, OutputError, PromiseBrokenError
from lprc.core.graph import editing
from lprc.core.instruments.change_detection import ChangeDetection, UntruthfulPassError
from lprc.core.instruments.pass_statistics import PassStatistics
from lprc.core.instruments.progress import Progress
from lprc.core.instruments.snapshots import Snapshots
from lprc.core.instruments.timing import Timing
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.options import option
from lprc.core.passing.contract import Contract, approximate, exact, exact_at_batch, lossy
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.core.process import peak_memory
from lprc.core.running.numerics import compare, run
from lprc.core.running.random_inputs import NoInputsError

SCALE = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3] x) => (float[N,3] y) <float[3] w = {1,2,3}> { [mul] y = Mul(x, w) }"""


def made(
    change: Callable[[ir.Model], None] | None, contract: Contract = exact, name="pass"
) -> Pass:
    """A pass that does `change` under `contract`, or leaves all as it is."""

    def body(self, model: ir.Model, context: PassContext) -> None:
        if change is not None and context.rewrite(model.graph[0], "changed"):
            change(model)

    parts = {"name": name, "contract": contract, "run": body, "__doc__": name}
    return dataclass(frozen=True)(type("Made", (Pass,), parts))()


def scaled(factor: float) -> Callable[[ir.Model], None]:
    """Multiply the weight, and with it the output."""

    def change(model: ir.Model) -> None:
        (value,) = model.graph.initializers.values()
        array = value.const_value.numpy()
        value.const_value = ir.tensor((array * factor).astype(array.dtype), name=value.name)

    return change


def retyped(op_type: str) -> Callable[[ir.Model], None]:
    return lambda model: setattr(model.graph[0], "op_type", op_type)


def reshaped(*shape: int | str) -> Callable[[ir.Model], None]:
    def change(model: ir.Model) -> None:
        for value in (model.graph.inputs[0], model.graph.outputs[0]):
            value.shape = ir.Shape(shape)

    return change


def go(text: str, passes: list[Pass], *instruments: Instrument) -> ir.Model:
    model = ir.from_onnx_text(text)
    PassManager(Pipeline(tuple(passes)), instruments).run(model)
    return model


# Verify


def test_a_kept_promise_is_recorded():
    verify = Verify()
    go(SCALE, [made(None), made(scaled(1 + 1e-6)), made(scaled(1.05), approximate(0.1))], verify)
    assert sorted(verify.deltas) == [1, 2]
    assert 0 < verify.deltas[1][0].relative < 1e-5
    assert verify.deltas[2][0].relative == pytest.approx(0.05, rel=1e-3)
    assert verify.warnings == []


@pytest.mark.parametrize("mode", ["each", "final"])
def test_a_broken_promise_leaves_a_reproducer(tmp_path, mode):
    folder = tmp_path / "broken"
    passes = [made(None), made(scaled(1 + 1e-6), name="good"), made(scaled(1.01), name="bad")]
    with pytest.raises(PromiseBrokenError, match=r"promised exact, but y: max 0\.\d+") as caught:
        go(SCALE, passes, Verify(mode, reproducer=folder))
    error = caught.value
    assert error.where == ("pass 'bad'" if mode == "each" else "2 passes together")
    assert str(folder) in error.hint
    assert sorted(path.name for path in folder.iterdir()) == [
        "after.onnx", "before.onnx", "inputs.npz", "pipeline.txt", "replay.txt",
    ]  # fmt: skip
    with np.load(folder / "inputs.npz") as loaded:
        inputs = dict(loaded)
    before, after = (run(folder / f"{name}.onnx", inputs) for name in ("before", "after"))
    (delta,) = compare(before, after)
    assert delta.relative == pytest.approx(0.01, rel=1e-2)
    assert (folder / "pipeline.txt").read_text() == ("bad\n" if mode == "each" else "good,bad\n")
    assert "lprc opt before.onnx" in (folder / "replay.txt").read_text()


def test_a_second_reproducer_replaces_the_first_but_nothing_else(tmp_path):
    folder = tmp_path / "broken"
    for _ in range(2):
        with pytest.raises(PromiseBrokenError):
            go(SCALE, [made(scaled(2))], Verify(reproducer=folder))
    (tmp_path / "mine").write_text("")
    with pytest.raises(OutputError, match="lprc did not write"):
        go(SCALE, [made(scaled(2))], Verify(reproducer=tmp_path))
    assert (tmp_path / "mine").exists()


def test_without_a_reproducer_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PromiseBrokenError):
        go(SCALE, [made(scaled(2))], Verify())
    assert list(tmp_path.iterdir()) == []


AMPLIFIER = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3] x) => (float[N,3] y) <float[3] w = {10000,20000,30000}> {
    [mul] z = Mul(x, w) [sin] y = Sin(z) }"""


@pytest.mark.parametrize("mode", ["each", "final"])
def test_what_rounding_of_the_inputs_does_as_well_is_a_warning(mode):
    verify = Verify(mode)
    go(AMPLIFIER, [made(scaled(1 + 5e-7))], verify)
    assert verify.worst(0) > 1e-3
    (warning,) = verify.remarks
    assert "no farther than rounding moves them in this network" in warning


def test_a_pass_to_float16_is_judged_by_its_rounding():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[N,3] x) => (float[N,3] y) <float[3] w = {10, 20, 30}> { z = Mul(x, w) y = Sin(z) }"""

    def to_float16(model: ir.Model) -> None:
        (weight,) = model.graph.initializers.values()
        rounded = weight.const_value.numpy().astype(np.float16) * np.float16(1.003)
        weight.const_value = ir.tensor(rounded, name=weight.name)
        weight.dtype = ir.DataType.FLOAT16
        (x,) = model.graph.inputs
        first = model.graph[0]
        narrow = ir.node("Cast", [x], {"to": int(ir.DataType.FLOAT16)})
        product = ir.node("Mul", [narrow.outputs[0], weight])
        wide = ir.node("Cast", product.outputs, {"to": int(ir.DataType.FLOAT)})
        model.graph.insert_before(first, [narrow, product, wide])
        first.outputs[0].replace_all_uses_with(wide.outputs[0])
        model.graph.remove(first)

    verify = Verify(inputs=[{"x": np.full((1, 3), 3.0, np.float32)}])
    go(text, [made(to_float16, approximate(0.02))], verify)
    assert verify.worst(0) > 0.02
    assert len(verify.remarks) == 1


def test_a_wrong_pass_is_found_in_a_graph_that_amplifies():
    with pytest.raises(PromiseBrokenError, match="promised exact"):
        go(AMPLIFIER, [made(scaled(1.0001))], Verify())


def test_small_steps_add_up_in_the_end_only():
    steps = [made(scaled(1 + 6e-5)) for _ in range(5)]
    go(SCALE, steps, Verify("each"))
    with pytest.raises(PromiseBrokenError, match="5 passes together"):
        go(SCALE, steps, Verify("final"))


def test_the_end_is_held_to_the_loosest_contract():
    steps = [made(scaled(1.05), approximate(0.1)), made(scaled(1 + 1e-6))]
    verify = Verify("final")
    go(SCALE, steps, verify)
    assert list(verify.deltas) == [1]


@pytest.mark.parametrize("mode", ["each", "final"])
def test_a_lossy_pass_is_recorded_and_not_judged(mode):
    verify = Verify(mode)
    go(SCALE, [made(scaled(3), lossy("accuracy")), made(scaled(1 + 1e-6))], verify)
    assert verify.deltas[0][0].relative == pytest.approx(2)
    assert verify.deltas[1][0].relative < 1e-5


@pytest.mark.parametrize("mode", ["each", "final"])
@pytest.mark.parametrize("bad", [0, 2])
def test_passes_around_a_lossy_one_are_judged(mode, bad):
    passes = [made(scaled(1 + 1e-6)), made(scaled(3), lossy("accuracy")), made(scaled(1 + 1e-6))]
    passes[bad] = made(scaled(1.01), name="bad")
    with pytest.raises(PromiseBrokenError, match="bad"):
        go(SCALE, passes, Verify(mode))


def test_a_graph_that_no_longer_runs_is_a_broken_promise(tmp_path):
    with pytest.raises(PromiseBrokenError, match="can't load the graph") as caught:
        go(SCALE, [made(retyped("Softmax"), name="bad")], Verify(reproducer=tmp_path / "r"))
    assert caught.value.where == "pass 'bad'"
    assert (tmp_path / "r" / "inputs.npz").is_file()


def test_outputs_of_another_name_are_a_broken_promise():
    def rename(model: ir.Model) -> None:
        model.graph.outputs[0].name = "z"

    with pytest.raises(PromiseBrokenError, match="y: is gone; z: a new output"):
        go(SCALE, [made(rename)], Verify())


@pytest.mark.parametrize("mode", ["each", "final"])
def test_a_source_that_does_not_run_is_verified_from_the_first_graph_that_does(mode):
    text = SCALE.replace("Mul(x, w)", "Softmax(x, w)")
    verify = Verify(mode)
    go(text, [made(None), made(retyped("Mul"), name="repair"), made(scaled(1 + 1e-6))], verify)
    assert "not verified: the source graph does not run" in verify.warnings[0]
    assert verify.warnings[1] == "verified from the graph after 'repair' on"
    assert list(verify.deltas) == [2]
    with pytest.raises(PromiseBrokenError):
        go(text, [made(retyped("Mul")), made(scaled(2))], Verify(mode))


def test_a_graph_that_never_runs_is_never_judged():
    verify = Verify()
    go(SCALE.replace("Mul(x, w)", "Softmax(x, w)"), [made(scaled(2))], verify)
    assert len(verify.warnings) == 1
    assert verify.deltas == {}


def test_a_random_graph_is_not_verified():
    text = SCALE.replace("{ [mul]", "{ r = RandomUniformLike(x) [mul]").replace("Mul(x", "Mul(r")
    verify = Verify()
    go(text, [made(None), made(lambda model: setattr(model.graph[0], "name", "n"))], verify)
    assert "something else each time" in verify.warnings[0]


BATCH_MEAN = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3] x) => (float[N,3] y) {
    axes = Constant<value = int64[1] {0}>() m = ReduceMean<keepdims=1>(x, axes) y = Mul(x, m) }"""


def per_sample(model: ir.Model) -> None:
    """Square instead of multiplying by the mean over the batch: the same at batch 1."""
    multiply = model.graph[2]
    multiply.replace_input_with(1, multiply.inputs[0])


def test_a_promise_for_one_batch_is_judged_there_only():
    verify = Verify()
    go(BATCH_MEAN, [made(per_sample, exact_at_batch(1)), made(None)], verify)
    assert verify.warnings == []
    assert verify.deltas[0][0].within(1e-6)
    with pytest.raises(PromiseBrokenError):
        go(BATCH_MEAN, [made(per_sample)], Verify())


def test_a_promise_for_one_batch_can_be_broken_there():
    def wrong(model: ir.Model) -> None:
        model.graph[2].op_type = "Add"

    with pytest.raises(PromiseBrokenError, match="exact at batch 1"):
        go(BATCH_MEAN, [made(wrong, exact_at_batch(1))], Verify())


def test_real_inputs_are_cut_to_the_promised_batch():
    inputs = [{"x": np.float32([[1, 2, 3], [4, 5, 6]])}]
    verify = Verify(inputs=inputs)
    go(BATCH_MEAN, [made(per_sample, exact_at_batch(1))], verify)
    assert verify.warnings == []


def test_real_inputs_without_dimensions_are_not_cut():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[N,3] x, float s) => (float[N,3] y) { y = Mul(x, s) }"""
    inputs = [{"x": np.ones((4, 3), np.float32), "s": np.array(2, np.float32)}]
    verify = Verify(inputs=inputs)
    go(text, [made(None, exact_at_batch(1))], verify)
    assert verify.warnings == []


def test_other_passes_are_judged_at_other_batches_besides():
    """A pass that is right at batch 1 only must not hide behind one that says so."""
    passes = [made(None, exact_at_batch(1)), made(per_sample, name="bad")]
    with pytest.raises(PromiseBrokenError, match="bad"):
        go(BATCH_MEAN, passes, Verify())


def test_a_promise_for_a_batch_that_the_graph_does_not_take_is_a_warning():
    text = BATCH_MEAN.replace("[N,3]", "[8,3]")
    verify = Verify()
    go(text, [made(per_sample, exact_at_batch(1), name="p")], verify)
    assert verify.warnings == ["not compared: p holds at batch 1, which the graph does not take"]


@pytest.mark.parametrize("mode", ["each", "final"])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("given", [False, True])
def test_a_graph_whose_batch_becomes_fixed_is_compared_at_it(mode, batch, given):
    inputs = [{"x": np.arange(9, dtype=np.float32).reshape(3, 3)}] if given else None
    verify = Verify(mode, inputs=inputs)
    go(SCALE, [made(reshaped(batch, 3)), made(scaled(1 + 1e-6))], verify)
    assert verify.warnings == []
    with pytest.raises(PromiseBrokenError):
        go(SCALE, [made(reshaped(batch, 3)), made(scaled(1.01))], Verify(mode, inputs=inputs))


def test_graphs_without_a_common_input_are_a_warning():
    verify = Verify()
    text = SCALE.replace("[N,3]", "[2,3]")
    go(text, [made(reshaped(5, 3), name="p"), made(scaled(1 + 1e-6))], verify)
    assert verify.warnings == ["not compared: the graphs before and after p take no common input"]
    assert verify.deltas[1][0].within(1e-5)


def test_float16_may_round():
    text = SCALE.replace("float[N", "float16[N")
    text = text.replace("{ [mul] y = Mul(x, w)", "{ h = Cast<to=10>(w) [mul] y = Mul(x, h)")
    go(text, [made(scaled(1 + 2e-3))], Verify())
    with pytest.raises(PromiseBrokenError):
        go(text, [made(scaled(1.05))], Verify())


DYNAMIC = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,4] x) => (float[N,4] y) <float[4] w = {1,1,1,1}> {
    [mul] m = Mul(x, w) q, s, z = DynamicQuantizeLinear(m) y = DequantizeLinear(q, s, z) }"""
"""With 0 and 255 in it, steps are 1, and 100.5 lies on a border."""


def test_a_number_between_two_steps_of_a_dynamically_quantised_source_may_round():
    def second(factor: float) -> Callable[[ir.Model], None]:
        def change(model: ir.Model) -> None:
            value = model.graph.initializers["w"]
            weights = np.float32([1, factor, 1, 1])
            value.const_value = ir.tensor(weights, name=value.name)

        return change

    inputs = [{"x": np.float32([[0, 100.5, 255, 8.25]])}]
    verify = Verify(inputs=inputs)
    go(DYNAMIC, [made(second(1 + 1e-6))], verify)
    assert verify.deltas[0][0].max_abs == 1.0
    with pytest.raises(PromiseBrokenError):
        go(DYNAMIC, [made(second(1.1))], Verify(inputs=inputs))


def test_several_real_inputs_are_all_looked_at(tmp_path):
    """Only the second input shows the damage, and it is the one that is kept."""
    inputs = [{"x": np.zeros((1, 3), np.float32)}, {"x": np.ones((1, 3), np.float32)}]
    with pytest.raises(PromiseBrokenError):
        go(SCALE, [made(scaled(2))], Verify(inputs=inputs, reproducer=tmp_path / "r"))
    with np.load(tmp_path / "r" / "inputs.npz") as loaded:
        assert loaded["x"].tolist() == [[1, 1, 1]]


def test_inputs_that_cannot_be_made_up_are_an_error():
    text = SCALE.replace("float[N,3] x)", "float[N,3] x, seq(float[2]) s)")
    with pytest.raises(NoInputsError):
        go(text, [], Verify())


def test_a_model_of_more_than_2_gb_is_verified_through_files(monkeypatch, tmp_path):
    for module in ("onnx_io.model_io", "instruments.graph_store"):
        monkeypatch.setattr(f"lprc.core.{module}.PROTOBUF_LIMIT", 5)
    verify = Verify()
    go(SCALE, [made(scaled(1 + 1e-6)), made(scaled(1 + 1e-6)), made(scaled(1 + 1e-6))], verify)
    assert sorted(verify.deltas) == [0, 1, 2]
    with pytest.raises(PromiseBrokenError):
        go(SCALE, [made(scaled(1.0)), made(scaled(2))], Verify(reproducer=tmp_path / "r"))
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert {"before.onnx", "before.onnx.data", "after.onnx", "after.onnx.data"} <= names
    x = np.ones((1, 3), np.float32)
    before, after = (run(tmp_path / "r" / f"{n}.onnx", {"x": x}) for n in ("before", "after"))
    assert (2 * before["y"]).tolist() == after["y"].tolist()


# Change detection


def test_truthful_passes_pass():
    go(SCALE, [made(None), made(scaled(2))], ChangeDetection())


def silent(model: ir.Model, context: PassContext) -> None:
    scaled(2)(model)


def loud(model: ir.Model, context: PassContext) -> None:
    context.rewrite(None, "nothing")


def careless(model: ir.Model, context: PassContext) -> None:
    model.graph[0].outputs[0].shape = ir.Shape(["M", 3])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (silent, "announced 0 rewrites and changed the model"),
        (careless, "announced 0 rewrites and changed the model"),
        (loud, "announced 1 rewrites and changed nothing"),
    ],
)
def test_lies_are_found(body, message):
    @dataclass(frozen=True)
    class Liar(Pass):
        """A liar."""

        name = "liar"
        contract = exact
        strength: int = option(1, "unused")

        def run(self, model: ir.Model, context: PassContext) -> None:
            body(model, context)

    with pytest.raises(UntruthfulPassError, match=message) as caught:
        go(SCALE, [Liar(strength=2)], ChangeDetection())
    assert caught.value.where == "pass 'liar{strength=2}'"
    assert isinstance(caught.value, LprcError)


# Timing


def timed(passes: list[Pass]) -> Timing:
    timing = Timing()
    go(SCALE, passes, timing, timing.mark)
    return timing


def test_timing_measures_each_pass():
    def slow(model: ir.Model) -> None:
        time.sleep(0.02)

    timing = timed([made(slow, name="slow"), made(None, name="fast")])
    assert [(item.position, item.text) for item in timing.passes] == [(0, "slow"), (1, "fast")]
    assert timing.passes[0].seconds >= 0.02 > timing.passes[1].seconds
    assert timing.seconds == sum(item.seconds for item in timing.passes)


def test_timing_measures_memory():
    if not peak_memory.reset():
        pytest.skip("this system does not tell the high-water mark of memory")
    size = 300_000_000

    def greedy(model: ir.Model) -> None:
        np.ones(size, np.uint8)

    first, second = (item.peak_bytes for item in timed([made(greedy), made(None)]).passes)
    assert size <= first < size + 10_000_000_000
    assert second <= first - size * 0.9


def test_timing_without_a_high_water_mark(monkeypatch, tmp_path):
    monkeypatch.setattr(peak_memory, "_RESET", tmp_path / "none" / "clear_refs")
    assert [item.peak_bytes for item in timed([made(None)]).passes] == [None]
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "status")
    assert peak_memory.peak_bytes() is None
    (tmp_path / "status").write_text("Name:\tlprc\n")
    assert peak_memory.peak_bytes() is None


# Statistics


def test_statistics_after_each_change():
    statistics = PassStatistics()
    go(SCALE, [made(None, name="idle"), made(scaled(2), name="double")], statistics)
    assert sorted(statistics.after) == [-1, 1]
    assert statistics.after[-1] == statistics.after[1]
    assert statistics.after[-1].parameters == 3


# Against the source


def test_outputs_are_compared_with_the_source_too():
    verify = Verify("each")
    nudge = approximate(0.6)
    passes = [
        made(scaled(1.5), contract=nudge, name="up"),
        made(None, name="idle"),
        made(scaled(1.2), contract=nudge, name="more"),
    ]
    go(SCALE, passes, verify)
    assert [verify.worst(each) for each in range(3)] == [
        pytest.approx(0.5), None, pytest.approx(0.2),
    ]  # fmt: skip
    assert verify.worst(0, since_source=True) == pytest.approx(0.5)
    assert verify.worst(1, since_source=True) is None
    assert verify.worst(2, since_source=True) == pytest.approx(0.8)


def test_what_holds_at_one_batch_size_is_compared_with_the_source_at_that_one():
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[N,3] x) => (float[N,3] y) <int64 rows = {0}> { [sum] y = CumSum(x, rows) }"""

    def turn(model: ir.Model) -> None:
        model.graph[0].attributes["reverse"] = ir.AttrInt64("reverse", 1)

    inputs = {"x": np.arange(12, dtype=np.float32).reshape(4, 3)}
    verify = Verify("each", inputs=[inputs])
    go(text, [made(turn, contract=exact_at_batch(1)), made(turn, lossy("accuracy"))], verify)
    assert verify.worst(0, since_source=True) == 0.0
    assert verify.worst(1, since_source=True) == 0.0


# Snapshots


def test_snapshots_of_what_changed(tmp_path):
    folder = tmp_path / "deep" / "er"
    passes = [
        made(scaled(2), name="double"),
        made(None, name="idle"),
        made(scaled(3), name="triple"),
    ]
    model = go(SCALE, passes, Snapshots(folder))
    assert sorted(path.name for path in folder.iterdir()) == [
        "00-source.onnx", "00-source.txt", "01-double.onnx", "01-double.txt",
        "03-triple.onnx", "03-triple.txt",
    ]  # fmt: skip
    assert (folder / "03-triple.onnx").read_bytes() == model_io.to_bytes(model)
    assert "%w = f32[3] {2, 4, 6}" in (folder / "01-double.txt").read_text()
    assert "# mul" in (folder / "01-double.txt").read_text()


def test_snapshots_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        go(SCALE, [], Snapshots(tmp_path / "file" / "folder"))


# Progress


def test_progress_is_reported_once_a_pass():
    calls: list[tuple[int, int]] = []
    go(SCALE, [made(None), made(scaled(2))], Progress(lambda done, of: calls.append((done, of))))
    assert calls == [(1, 2), (2, 2)]


def test_the_real_lprnet_is_verified_quickly(lprnet_onnx: Path):
    """One session and two runs a changed pass."""
    model = model_io.load(lprnet_onnx)

    def touch(model: ir.Model) -> None:
        model.graph[0].name = editing.fresh_name(model.graph, "touched")

    verify = Verify()
    started = time.process_time()
    PassManager(Pipeline((made(touch), made(touch), made(touch))), [verify]).run(model)
    assert time.process_time() - started < 5
    assert all(delta.max_abs == 0 for deltas in verify.deltas.values() for delta in deltas)
    assert verify.warnings == []
