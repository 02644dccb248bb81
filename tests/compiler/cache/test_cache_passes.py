"""Passes that are known do not run, and what comes out is the same to the last byte."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx_ir as ir
import pytest

from lprc.compiler.cache import cached_passes as pass_memory
from lprc.compiler.cache.snapshot import freeze, thaw
from lprc.compiler.cache.store import Store
from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.optimize import optimize
from lprc.compiler.compile.settings import Execution, Memory, Observation
from lprc.core.errors import PromiseBrokenError, UsageError
from lprc.core.graph.provenance import stamp
from lprc.core.onnx_io.model_io import load, to_bytes
from lprc.core.passing.contract import exact
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, PassContext, UndeclaredDataError
from lprc.core.passing.pass_registry import pass_class, pass_names
from lprc.core.passing.pipeline import Pipeline
from lprc.core.targets.target import target
from lprc.core.tasks.task_file import task_choice

SHORT = "legalize,fold-bn,eliminate-identity,calibrate{method=min-max},insert-qdq"
PRUNED = "legalize,fold-bn,prune-channels{ratio=0.2},reconstruct"

WEIGHTS = "infer-shapes,legalize,fold-bn,eliminate-identity,quantize-weights"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", 1 << 30)


@pytest.fixture(scope="module")
def few(plates: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    for image in sorted(plates.glob("*.jpg"))[:8]:
        (folder / image.name).write_bytes(image.read_bytes())
    return folder


def run(bundled, folder, pipeline, store, verify, **observed):
    """Optimise the bundled model; its bytes and what was done."""
    model = load(bundled)
    samples = ImageSamples(folder, task_choice("synthetic"), model, "model")
    execution = Execution(verify=verify, calibration=samples, inputs=samples[:2])
    done = optimize(
        model, Pipeline.parse(pipeline), execution, Observation(**observed), Memory(store)
    )
    return to_bytes(model), done


def essence(done):
    """What a manifest tells."""
    records = [dataclasses.replace(each, seconds=0.0, remembered=False) for each in done.records]
    return records, done.deltas, done.warnings


def ran(done) -> list[str]:
    return [each.name for each in done.records if not each.remembered]


@pytest.mark.parametrize("verify", ["off", "final", "each"])
def test_nothing_runs_twice(bundled, few, store, verify):
    plain = run(bundled, few, SHORT, None, verify=verify)
    cold = run(bundled, few, SHORT, store, verify=verify)
    warm = run(bundled, few, SHORT, store, verify=verify)
    assert ran(warm[1]) == []
    assert len(ran(cold[1])) == 5
    assert plain[0] == cold[0] == warm[0]
    assert essence(plain[1]) == essence(cold[1]) == essence(warm[1])


@pytest.mark.parametrize("name", ["openvino-int8", WEIGHTS, SHORT])
def test_a_pipeline_goes_on_from_anywhere(bundled, few, tmp_path, name):
    text = name if "," in name else target(name).pipeline
    passes = Pipeline.parse(text).passes
    whole, _ = run(bundled, few, text, None, verify="off")
    # All starts that differ: behind each pass that did something.
    store = Store(tmp_path / "all", 1 << 30)
    _, first = run(bundled, few, text, store, verify="off")
    for record in first.records:
        if not record.changed:
            continue
        part = Store(tmp_path / f"upto{record.position}", 1 << 30)
        start = str(Pipeline(passes[: record.position + 1]))
        run(bundled, few, start, part, verify="off")
        again, done = run(bundled, few, text, part, verify="off")
        assert len(ran(done)) <= len(passes) - record.position - 1
        assert again == whole, f"behind {record.text}"


def test_what_was_removed_is_known_behind(bundled, few, store):
    """`reconstruct` asks for the model before channels were removed."""
    plain, _ = run(bundled, few, PRUNED, None, verify="off")
    run(bundled, few, PRUNED.removesuffix(",reconstruct"), store, verify="off")
    again, done = run(bundled, few, PRUNED, store, verify="off")
    assert ran(done) == ["reconstruct"]
    assert done.records[-1].rewrites
    assert again == plain


def test_another_target_uses_what_is_the_same(bundled, few, store):
    run(bundled, few, target("openvino-int8").pipeline, store, verify="off")
    _, same = run(bundled, few, target("openvino-int8-fp16").pipeline, store, verify="off")
    assert ran(same) == []
    _, other = run(bundled, few, target("ort-int8").pipeline, store, verify="off")
    assert "calibrate" in ran(other)
    assert "fold-bn" not in ran(other)


def test_another_image_runs_what_looks_at_images(bundled, few, store, tmp_path):
    run(bundled, few, SHORT, store, verify="off")
    changed = tmp_path / "changed"
    changed.mkdir()
    for image in few.iterdir():
        (changed / image.name).write_bytes(image.read_bytes())
    first, second = sorted(changed.iterdir())[:2]
    first.write_bytes(second.read_bytes())
    _, done = run(bundled, changed, SHORT, store, verify="off")
    assert ran(done) == ["calibrate", "insert-qdq"]


def test_other_options_run(bundled, few, store):
    run(bundled, few, SHORT, store, verify="off")
    other = SHORT.replace("min-max", "percentile")
    _, done = run(bundled, few, other, store, verify="off")
    assert ran(done) == ["calibrate", "insert-qdq"]
    # With min-max the scheme does not matter: the same graph comes out, and what follows is known.
    same = SHORT.replace("min-max", "min-max,scheme=unsigned")
    _, done = run(bundled, few, same, store, verify="off")
    assert ran(done) == ["calibrate"]


def test_another_lprc_runs_everything(bundled, few, store, monkeypatch):
    run(bundled, few, SHORT, store, verify="off")
    monkeypatch.setattr(pass_memory, "surroundings", lambda store, sdks: {"lprc": "another"})
    _, done = run(bundled, few, SHORT, store, verify="off")
    assert len(ran(done)) == 5


@pytest.mark.parametrize("kind", ["pass", "model"])
def test_damaged_entries_are_made_again(bundled, few, store, kind):
    plain, _ = run(bundled, few, SHORT, store, verify="off")
    for path in sorted(store.folder.glob(f"v*/{kind}/*/*"))[::2]:
        data = bytearray(path.read_bytes())
        data[-5] ^= 0xFF
        path.write_bytes(data)
    again, done = run(bundled, few, SHORT, store, verify="off")
    assert ran(done)
    assert again == plain
    _, last = run(bundled, few, SHORT, store, verify="off")
    assert ran(last) == []


def test_what_is_remembered_is_verified_all_the_same(bundled, few, store, monkeypatch):
    """A pass that broke its promise unseen is caught when someone looks."""
    run(bundled, few, SHORT, store, verify="off")
    monkeypatch.setattr(
        pass_class("calibrate"), "contract", dataclasses.replace(exact, tolerance=-1)
    )
    monkeypatch.setattr(
        "lprc.core.running.numerics.OutputDelta.within", lambda self, most: most >= 0
    )
    for name in ("rounding", "dynamic_step"):
        monkeypatch.setattr(f"lprc.core.instruments.verify.{name}", lambda model: -1.0)
    with pytest.raises(PromiseBrokenError, match="calibrate"):
        run(bundled, few, SHORT, store, verify="each")


def test_check_passes_sees_every_pass(bundled, few, store):
    run(bundled, few, SHORT, store, verify="off")
    _, done = run(bundled, few, SHORT, store, verify="off", check_passes=True)
    assert len(ran(done)) == 5


def test_images_that_change_meanwhile_are_not_trusted(bundled, few, store, tmp_path):
    folder = tmp_path / "moving"
    folder.mkdir()
    for image in few.iterdir():
        (folder / image.name).write_bytes(image.read_bytes())
    first, second = sorted(folder.iterdir())[:2]
    model = load(bundled)

    class Moving(ImageSamples):
        def __getitem__(self, index):
            found = super().__getitem__(index)
            if index == 3:
                first.write_bytes(second.read_bytes())
            return found

    samples = Moving(folder, task_choice("synthetic"), model, "model")
    settings = {"execution": Execution(verify="off", calibration=samples), "memory": Memory(store)}
    optimize(model, Pipeline.parse("calibrate{method=min-max}"), **settings)
    assert "pass" not in store.usage().entries


class Peeks(Pass):
    """Look at samples without saying so."""

    name = "peeks"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        assert not len(context.calibration)


Peeks = dataclasses.dataclass(frozen=True)(Peeks)


def test_who_does_not_say_so_sees_no_samples(bundled):
    with pytest.raises(UndeclaredDataError, match="reads_calibration") as caught:
        PassManager(Pipeline((Peeks(),))).run(load(bundled))
    assert caught.value.pass_name == "peeks"


def test_the_passes_that_look_at_samples():
    declared = {name for name in pass_names() if pass_class(name).reads_calibration}
    assert declared == {
        "adaround",
        "calibrate",
        "correct-bias",
        "prune-channels",
        "reconstruct",
        "smooth-quant",
        "sparsify",
    }


class Untouchable(Sequence):
    def __len__(self):
        raise AssertionError("looked at")

    __getitem__ = __len__


@pytest.mark.parametrize(
    "name", sorted(n for n in pass_names() if not pass_class(n).reads_calibration)
)
def test_the_others_do_not(bundled, name):
    model = load(bundled)
    stamp(model)
    with suppress(UsageError):  # insert-qdq wants ranges
        pass_class(name)().run(model, PassContext(calibration=Untouchable()))


def test_an_unknown_third_party_is_not_remembered(bundled, store):
    @dataclasses.dataclass(frozen=True)
    class Mine(Pass):
        """Nothing."""

        name = "mine"
        contract = exact

        def run(self, model: ir.Model, context: PassContext) -> None:
            context.skip(None, "nothing to do")

    done = optimize(
        load(bundled), Pipeline((Mine(),)), execution=Execution(verify="off"), memory=Memory(store)
    )
    assert ran(done) == ["mine"]
    assert "pass" not in store.usage().entries


class Plugin(Pass):
    """Nothing."""

    name = "plugin"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Do nothing."""


Plugin = dataclasses.dataclass(frozen=True)(Plugin)


@pytest.mark.parametrize(
    ("direct_url", "known"),
    [(None, True), ('{"dir_info": {"editable": true}}', False), ('{"archive_info": {}}', True)],
)
def test_a_released_third_party_is_known_by_its_version(monkeypatch, direct_url, known):
    dist = SimpleNamespace(
        read_text=lambda name: direct_url, metadata={"Name": "their-passes"}, version="1.2"
    )
    point = SimpleNamespace(
        name="plugin", value=f"{Plugin.__module__}:{Plugin.__qualname__}", dist=dist
    )
    monkeypatch.setattr(pass_memory, "entry_points", lambda group: [point])
    assert pass_memory._origin(Plugin()) == ("their-passes 1.2" if known else None)


def test_what_passes_leave_for_others_is_kept(bundled):
    model = load(bundled)
    stamp(model)
    text = "legalize,fold-bn,prune-channels{ratio=0.2}"
    PassManager(Pipeline.parse(text)).run(model)
    kept = freeze(model, limit=1 << 30)
    assert kept is not None
    other = load(bundled)
    thaw(kept.header, kept.payload, other)
    again = freeze(other, limit=1 << 30)
    assert again is not None
    assert again.hash == kept.hash
    assert to_bytes(other) == to_bytes(model)


@pytest.mark.parametrize("where", ["model", "graph", "node", "value"])
def test_python_objects_are_not_kept(bundled, where):
    model = load(bundled)
    assert freeze(model, limit=1 << 30) is not None
    node = model.graph.node(0)
    holder = {"model": model, "graph": model.graph, "node": node, "value": node.outputs[0]}[where]
    holder.meta["theirs"] = object()
    assert freeze(model, limit=1 << 30) is None


def test_a_large_model_is_not_kept(bundled):
    assert freeze(load(bundled), limit=1000) is None


def test_samples_are_told_apart():
    one = [{"x": np.zeros((1, 2), np.float32)}]
    others = [
        [],
        [{"y": np.zeros((1, 2), np.float32)}],
        [{"x": np.zeros((2, 1), np.float32)}],
        [{"x": np.zeros((1, 2), np.float64)}],
        [*one, *one],
    ]
    keys = {pass_memory.samples_key(each) for each in (one, *others)}
    assert len(keys) == 6
