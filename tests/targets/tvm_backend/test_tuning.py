"""Tuning: which schedules are tried, how the trials are spent, and what is chosen."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("tvm.s_tir", reason="apache-tvm is not installed")

import tvm
from tvm_kernels import calling, conv_function, module_of, relu_function, this_machine

from lprc.core.process.exchange import Failure
from lprc.targets.tvm_backend import spaces, strategy, tuning
from lprc.targets.tvm_backend.database import open_records
from lprc.targets.tvm_backend.measuring_pool import Candidate, Counts, Limits, Outcome, Tracker
from lprc.targets.tvm_backend.record_files import MEASUREMENTS
from lprc.targets.tvm_backend.search import Search
from lprc.targets.tvm_backend.tasks import find_tasks
from lprc.targets.tvm_backend.tuning import TuningSettings

TARGET = this_machine()


@dataclass(frozen=True)
class Tile:
    columns: int
    rows: int


TILES = [Tile(columns, rows) for columns in range(8) for rows in range(8)]


def run(search: Search, seconds: Callable[[Tile], float | None], batch: int = 8) -> list[int]:
    order: list[int] = []
    while taken := search.take(batch):
        for index in taken:
            search.tell(index, seconds(search.candidates[index]))
        order += taken
    return order


def bowl(tile: Tile) -> float:
    return 1.0 + abs(tile.columns - 5) + abs(tile.rows - 2)


def test_the_default_comes_first_and_nothing_twice() -> None:
    search = Search(TILES, "0", 1000)
    order = run(search, bowl)
    assert order[0] == 0
    assert sorted(order) == list(range(64))
    assert search.best is not None
    assert search.candidates[search.best] == Tile(5, 2)
    assert search.default_seconds == 8.0


def test_the_same_measurements_give_the_same_search() -> None:
    orders = [run(Search(TILES, seed, 1000), bowl) for seed in ("1", "1", "2")]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_patience_ends_a_search() -> None:
    search = Search(TILES, "0", 10)
    order = run(search, lambda tile: 1.0 if tile == TILES[0] else 2.0, batch=2)
    assert search.is_over
    assert 10 <= len(order) <= 12
    assert search.best == 0


def test_neighbours_of_the_best_come_sooner_than_by_chance() -> None:
    def until_best(order: list[int]) -> int:
        return order.index(TILES.index(Tile(5, 2)))

    searched = [until_best(run(Search(TILES, str(i), 1000), bowl)) for i in range(30)]
    assert sum(searched) / 30 < 0.8 * 32  # 32: by chance


def test_failures_are_tried_once_and_never_win() -> None:
    search = Search(TILES, "0", 1000)
    order = run(search, lambda tile: None if tile.columns else bowl(tile))
    assert len(order) == 64
    assert search.failures == 56
    assert search.best is not None
    assert search.candidates[search.best].columns == 0


def test_kernels_of_equal_structure_are_one_task() -> None:
    module = module_of(
        ("a", conv_function()), ("b", conv_function()), ("c", conv_function(6, 10)),
        ("a", conv_function()), ("relu", relu_function()),
    )  # fmt: skip
    tasks = {task.name: task for task in find_tasks(module)}
    assert sorted(tasks["a"].names) == ["a", "b"]
    assert {name: task.occurrences for name, task in tasks.items()} == {"a": 3, "c": 1, "relu": 1}


def test_all_schedules_of_a_space_compute_the_same() -> None:
    for function in (conv_function(), relu_function()):
        (task,) = find_tasks(module_of(("kernel", function)))
        candidates = spaces.candidates(task, this_machine(2))
        assert len(set(map(spaces.text, candidates))) == len(candidates)
        generator = np.random.default_rng(0)
        inputs = [generator.standard_normal(shape, "float32") for shape, _ in task.arguments]
        results = []
        for parameters in [candidates[0], *random.Random(0).sample(candidates[1:], 5)]:
            made = spaces.schedule(task, TARGET, parameters)
            library = tvm.compile(made.mod, target=TARGET).mod
            tensors = [tvm.runtime.tensor(each) for each in inputs]
            library["main"](*tensors)
            results.append(tensors[-1].numpy())
        for each in results[1:]:
            np.testing.assert_allclose(each, results[0], rtol=1e-5, atol=1e-5)


def test_making_schedules_leaves_the_task_as_it_was() -> None:
    (task,) = find_tasks(module_of(("kernel", conv_function())))
    before = task.module.script()
    for parameters in spaces.candidates(task, TARGET)[:4]:
        assert spaces.ANNOTATION not in spaces.schedule(task, TARGET, parameters).mod.script()
    assert task.module.script() == before


class FakePool:
    """Times from the text of a candidate, so that all runs measure the same."""

    seconds: Callable[[Candidate], float | None]
    delay = 0.0
    made: list[FakePool]

    def __init__(self, *_: Any) -> None:
        self.workers, self.counts = 1, Counts()
        self.candidates: list[Candidate] = []
        self.ran: list[int] = []
        self.made.append(self)

    def __enter__(self) -> FakePool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def build(self, candidates: Sequence[Candidate]) -> list[int | str]:
        self.candidates += candidates
        return list(range(len(self.candidates) - len(candidates), len(self.candidates)))

    def run(self, keys: Sequence[int], best: float | None = None, *, keep: bool = False) -> Any:
        self.ran += keys
        time.sleep(self.delay)
        seconds = [type(self).seconds(self.candidates[key]) for key in keys]
        return [Outcome(each, None if each else "refused") for each in seconds]


def by_text(candidate: Candidate) -> float:
    """Microseconds for ReLU, milliseconds for convolutions."""
    digest = hashlib.sha256(candidate.module.encode()).digest()
    return (1.0 + digest[0] / 255) * (1e-6 if len(candidate.arguments) == 2 else 1e-3)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakePool]:
    class Pool(FakePool):
        seconds = staticmethod(by_text)
        made: ClassVar[list[FakePool]] = []

    monkeypatch.setattr(tuning, "MeasuringPool", Pool)
    return Pool


MODULE = module_of(("conv", conv_function()), ("conv", conv_function()), ("relu", relu_function()))


def test_tuning_finds_something_faster_and_tells_how_it_goes(fake: type[FakePool]) -> None:
    progress: list[tuple[float, int]] = []
    status: list[dict[str, Any]] = []
    with open_records([]) as records:
        report = tuning.tune(
            MODULE,
            TARGET,
            TuningSettings(trials=20),
            records,
            progress=lambda *step: progress.append(step),
            status=status.append,
        )
        chosen = records.chosen(MODULE, TARGET)
    assert (report.trials, report.measured, report.stopped) == (20, 20, "trials")
    conv, relu = report.tasks
    assert (conv.name, conv.occurrences, relu.name) == ("conv", 2, "relu")
    assert conv.trials > relu.trials >= 1  # the trials go where the time is
    assert conv.best_seconds is not None
    assert conv.default_seconds is not None
    assert conv.best_seconds < conv.default_seconds
    assert spaces.text(chosen["conv"]) == conv.parameters
    assert progress[0] == (1, 20)
    assert progress[-1] == (20, 20)
    assert progress == sorted(progress)
    assert status[-1]["trials"] == 20
    assert status[-1]["seconds_left"] == 0
    total = 2 * conv.best_seconds + (relu.best_seconds or 0)
    assert status[-1]["latency"] == pytest.approx(total)
    assert report.document()["tasks"][0]["name"] == "conv"


def test_the_same_seed_tries_the_same(fake: type[FakePool]) -> None:
    tried = []
    for seed in (3, 3, 4):
        with open_records([]) as records:
            tuning.tune(MODULE, TARGET, TuningSettings(trials=24, seed=seed), records)
        tried.append([each.module for each in fake.made[-1].candidates])
    assert tried[0] == tried[1]
    assert tried[0] != tried[2]


def test_the_default_is_measured_first_and_stays_where_nothing_is_faster(
    fake: type[FakePool],
) -> None:
    first: list[str] = []

    def seconds(candidate: Candidate) -> float:
        if not first or len(candidate.arguments) != len(task.arguments):
            first.append(candidate.module)
        return 1e-6 if candidate.module == first[0] else 2e-6

    module = module_of(("conv", conv_function()))
    (task,) = find_tasks(module)
    fake.seconds = staticmethod(seconds)  # type: ignore[method-assign]
    with open_records([]) as records:
        tuning.tune(module, TARGET, TuningSettings(trials=10), records)
        chosen = records.chosen(module, TARGET)
    assert chosen == {"conv": spaces.candidates(task, TARGET)[0]}


def test_a_default_that_was_disturbed_is_measured_again(fake: type[FakePool]) -> None:
    module = module_of(("conv", conv_function()))
    seen: list[str] = []

    def seconds(candidate: Candidate) -> float:
        seen.append(candidate.module)
        disturbed = len(seen) == 1
        return 9e-6 if disturbed else 1e-6 if candidate.module == seen[0] else 2e-6

    fake.seconds = staticmethod(seconds)  # type: ignore[method-assign]
    with open_records([]) as records:
        report = tuning.tune(module, TARGET, TuningSettings(trials=10), records)
        chosen = records.chosen(module, TARGET)
    (task,) = find_tasks(module)
    assert chosen == {"conv": spaces.candidates(task, TARGET)[0]}
    assert report.tasks[0].default_seconds == 1e-6
    assert report.measured == 10  # measuring again is no trial


def test_a_second_run_goes_on_where_the_first_was(fake: type[FakePool], tmp_path: Path) -> None:
    with open_records([], tmp_path) as records:
        tuning.tune(MODULE, TARGET, TuningSettings(trials=12), records)
    path = tmp_path / MEASUREMENTS
    path.write_bytes(path.read_bytes()[:-100])  # killed while it wrote
    with open_records([], tmp_path) as records:
        report = tuning.tune(MODULE, TARGET, TuningSettings(trials=30), records)
        again = tuning.tune(MODULE, TARGET, TuningSettings(trials=30), records)
    assert report.trials == 30
    assert 18 <= report.measured <= 19
    assert (again.measured, again.stopped) == (0, "trials")
    assert again.tasks == report.tasks
    assert len(fake.made) == 2  # nothing to do: no process


def test_patience_ends_tuning(fake: type[FakePool]) -> None:
    fake.seconds = staticmethod(lambda _: 1e-3)  # type: ignore[method-assign]
    with open_records([]) as records:
        report = tuning.tune(MODULE, TARGET, TuningSettings(trials=500, patience=8), records)
    assert report.stopped == "nothing left"
    assert report.trials < 30


def test_time_ends_tuning(fake: type[FakePool]) -> None:
    fake.delay = 0.1
    with open_records([]) as records:
        begin = time.monotonic()
        settings = TuningSettings(trials=10_000, patience=10_000, seconds=0.6)
        report = tuning.tune(MODULE, TARGET, settings, records)
    assert report.stopped == "time"
    assert time.monotonic() - begin < 10
    assert 2 <= report.trials < 100


def test_failing_candidates_are_counted_and_not_tried_again(
    fake: type[FakePool], tmp_path: Path
) -> None:
    module = module_of(("relu", relu_function()))
    first: list[str] = []

    def seconds(candidate: Candidate) -> float | None:
        first.append(candidate.module)
        return 1e-6 if candidate.module == first[0] else None

    fake.seconds = staticmethod(seconds)  # type: ignore[method-assign]
    (task,) = find_tasks(module)
    for measured in (len(spaces.candidates(task, TARGET)), 0):
        with open_records([], tmp_path) as records:
            report = tuning.tune(module, TARGET, TuningSettings(trials=50), records)
            assert report.measured == measured
            assert report.tasks[0].failures == report.tasks[0].space - 1 > 0


def test_devices_that_are_gone_end_tuning(
    fake: type[FakePool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def devices(tracker: Tracker) -> int:
        if len(fake.made) and len(fake.made[0].ran) > 10:
            raise Failure("the tracker has no device")
        return 1

    def seconds(candidate: Candidate) -> float | None:
        return by_text(candidate) if len(fake.made[0].ran) <= 6 else None

    fake.seconds = staticmethod(seconds)  # type: ignore[method-assign]
    monkeypatch.setattr(tuning.rpc, "devices", devices)
    settings = TuningSettings(trials=1000, rpc=("host", 1, "board"))
    with open_records([], tmp_path) as records:
        with pytest.raises(Failure, match="no device"):
            tuning.tune(MODULE, TARGET, settings, records)
        assert records.chosen(MODULE, TARGET).keys() == {"conv", "relu"}
        kept = len(records.of(find_tasks(MODULE)[0], TARGET))
    assert kept < 20  # what failed for want of a device is tried again another time


def test_real_candidates_that_crash_or_hang_cost_only_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    count = 0

    def sabotaged(*arguments: Any) -> Candidate:
        nonlocal count
        count += 1
        bad = {3: ("abort", 0), 5: ("sleep", 100)}.get(count)
        return calling(*bad) if bad else strategy_candidate(*arguments)

    strategy_candidate = strategy.candidate_of
    monkeypatch.setattr(strategy, "candidate_of", sabotaged)
    module = module_of(("conv", conv_function()))
    settings = TuningSettings(trials=9, workers=1, limits=Limits(run=1.5))
    with open_records([], tmp_path) as records:
        report = tuning.tune(module, TARGET, settings, records)
        assert records.chosen(module, TARGET).keys() == {"conv"}
    (task,) = report.tasks
    assert (task.trials, task.failures, report.lost) == (9, 2, 2)
    assert task.best_seconds is not None
    assert task.default_seconds is not None
    assert 0 < task.best_seconds <= task.default_seconds < 1e-3
