"""A model in OpenVINO that several threads run at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from lprc.compiler.runners import openvino_streams
from lprc.core.running.numerics import RunError
from lprc.core.running.runner import OpenJob, runs_at_once
from lprc.core.targets.runtimes import runtime

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
network (float[N, 2] x) => (float[N, 2] doubled, float[N, 1] summed)
<int64[1] axes = {1}>
{
    doubled = Add(x, x)
    summed = ReduceSum(x, axes)
}
"""


def written(folder: Path, batch: str = "N") -> Path:
    model = onnx.parser.parse_model(MODEL.replace("N", batch))
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def opened(path: Path, **job: int):
    return runtime("openvino").open(OpenJob(path, **job))


def rows(batch: int, first: float = 0.0) -> np.ndarray:
    return (np.arange(batch * 2).reshape(batch, 2) + first).astype(np.float32)


def check(runner, array: np.ndarray) -> None:
    outputs = runner.run({"x": array})
    assert list(outputs) == ["doubled", "summed"]
    np.testing.assert_array_equal(outputs["doubled"], array * 2)
    np.testing.assert_array_equal(outputs["summed"], array.sum(axis=1, keepdims=True))


def test_only_a_job_with_streams_has_them(tmp_path: Path):
    path = written(tmp_path)
    assert runs_at_once(opened(path)) == 1
    assert runs_at_once(opened(path, streams=3, threads=1)) == 3


def test_threads_run_it_at_once_each_with_its_own_inputs(tmp_path: Path):
    runner = opened(written(tmp_path), streams=3, threads=1)
    gate = threading.Barrier(3, timeout=20)

    def many(number: int) -> None:
        gate.wait()
        for turn in range(200):
            check(runner, rows(1 + turn % 3, number * 1000.0))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(many, range(3)))


def test_outputs_stay_as_they_are_when_it_runs_again(tmp_path: Path):
    runner = opened(written(tmp_path), streams=1)
    first = runner.run({"x": rows(2)})
    runner.run({"x": rows(2, 50.0)})
    np.testing.assert_array_equal(first["doubled"], rows(2) * 2)


def test_arrays_that_nothing_may_write_to_or_that_lie_in_pieces_are_taken(tmp_path: Path):
    runner = opened(written(tmp_path), streams=1)
    frozen = rows(2)
    frozen.setflags(write=False)
    check(runner, frozen)
    check(runner, rows(4)[::2])


def test_a_batch_that_is_known_is_the_interfaces(tmp_path: Path):
    runner = opened(written(tmp_path), streams=1, batch=1)
    assert runner.inputs == {"x": (1, 2)}
    check(runner, rows(1))
    assert opened(written(tmp_path, "3"), streams=1, batch=1).inputs == {"x": (3, 2)}


def test_shapes_that_come_often_are_compiled_and_their_number_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(openvino_streams, "_PAYS_AFTER", 3)
    monkeypatch.setattr(openvino_streams, "_MOST_SHAPES", 2)
    monkeypatch.setattr(openvino_streams, "_COUNTED_SHAPES", 4)
    runner = opened(written(tmp_path), streams=2)
    for batch in (1, 2, 5, 2, 2, 1, 1, 5, 5, 5, 2):
        check(runner, rows(batch))
    assert list(runner._own) == [((2, 2),), ((1, 2),)]
    runner = opened(written(tmp_path), streams=2)
    for batch in range(1, 30):
        check(runner, rows(batch))
        assert len(runner._runs) <= 4
    assert runner._own == {}


def test_what_does_not_fit_is_told_and_the_next_run_goes_on(tmp_path: Path):
    runner = opened(written(tmp_path), streams=1)
    with pytest.raises(RunError, match="OpenVINO can't run it"):
        runner.run({"x": np.zeros((2, 7), np.float32)})
    check(runner, rows(2))
