"""Tuning records: what belongs to which kernel, and what a file may contain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tvm.s_tir", reason="apache-tvm is not installed")

from tvm.s_tir import meta_schedule as ms
from tvm_kernels import conv_function, module_of, relu_function, this_machine

from lprc.core.process.exchange import Failure
from lprc.targets.tvm_backend import spaces
from lprc.targets.tvm_backend.database import Records, open_records
from lprc.targets.tvm_backend.record_files import MEASUREMENTS, WORKLOADS, Measurement
from lprc.targets.tvm_backend.tasks import Task, find_tasks

TARGET = this_machine()


def task_of(function: Any) -> Task:
    (task,) = find_tasks(module_of(("kernel", function)))
    return task


@pytest.fixture
def conv() -> Task:
    return task_of(conv_function())


def add(records: Records, task: Task, number: int, seconds: float | None) -> Any:
    """Record a measurement of one of the task's schedules; returns its parameters."""
    parameters = spaces.candidates(task, TARGET)[number]
    trace = spaces.schedule(task, TARGET, parameters).trace
    records.add(task, TARGET, trace, Measurement(spaces.text(parameters), seconds))
    return parameters


def test_the_fastest_is_chosen(conv: Task, tmp_path: Path) -> None:
    with open_records([], tmp_path) as records:
        add(records, conv, 0, 3e-6)
        best = add(records, conv, 5, 1e-6)
        add(records, conv, 7, 2e-6)
        add(records, conv, 8, None)
        assert records.best(conv, TARGET) == best
    with open_records([tmp_path]) as records:  # and by another process, later
        assert records.best(conv, TARGET) == best
        assert [each.seconds for each in records.of(conv, TARGET)] == [3e-6, 1e-6, 2e-6, None]


def test_without_a_folder_records_are_kept_in_memory(conv: Task) -> None:
    with open_records([]) as records:
        best = add(records, conv, 2, 1e-6)
        assert records.best(conv, TARGET) == best


def test_records_are_found_after_the_rest_of_the_network_has_changed(tmp_path: Path) -> None:
    (conv,) = find_tasks(module_of(("first", conv_function())))
    with open_records([], tmp_path) as records:
        best = add(records, conv, 4, 1e-6)
    changed = module_of(
        ("relu", relu_function()), ("other", conv_function(6, 10)), ("renamed", conv_function())
    )
    with open_records([tmp_path]) as records:
        assert records.chosen(changed, TARGET) == {"renamed": best}


def test_equal_kernels_share_records(tmp_path: Path) -> None:
    module = module_of(("a", conv_function()), ("b", conv_function()))
    with open_records([], tmp_path) as records:
        best = add(records, find_tasks(module)[0], 4, 1e-6)
        assert records.chosen(module, TARGET) == {"a": best, "b": best}


def test_records_of_another_machine_do_not_count(conv: Task, tmp_path: Path) -> None:
    with open_records([], tmp_path) as records:
        add(records, conv, 1, 1e-6)
        assert records.best(conv, TARGET) is not None
        assert records.best(conv, this_machine(2)) is None


def test_several_folders_are_read_and_one_is_written(conv: Task, tmp_path: Path) -> None:
    with open_records([], tmp_path / "shipped") as records:
        add(records, conv, 1, 5e-6)
    shipped = (tmp_path / "shipped" / MEASUREMENTS).read_bytes()
    with open_records([tmp_path / "shipped", tmp_path / "absent"], tmp_path / "own") as records:
        assert len(records.of(conv, TARGET)) == 1
        best = add(records, conv, 3, 1e-6)
        assert records.best(conv, TARGET) == best
    assert (tmp_path / "shipped" / MEASUREMENTS).read_bytes() == shipped
    with open_records([tmp_path / "own"]) as records:
        assert len(records.of(conv, TARGET)) == 1


def test_metaschedule_reads_what_we_write(conv: Task, tmp_path: Path) -> None:
    with open_records([], tmp_path) as records:
        add(records, conv, 0, 2e-6)
        add(records, conv, 1, None)
    database = ms.database.JSONDatabase(work_dir=str(tmp_path))
    assert len(database) == 2
    (record,) = database.get_top_k(database.commit_workload(conv.module), 1)
    assert [float(each) for each in record.run_secs] == [2e-6]


@pytest.mark.parametrize("name", [WORKLOADS, MEASUREMENTS])
def test_a_torn_last_line_is_mended(conv: Task, tmp_path: Path, name: str) -> None:
    relu = task_of(relu_function())
    with open_records([], tmp_path) as records:
        add(records, conv, 1, 1e-6)
        add(records, relu, 1, 1e-6)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-20])
    with open_records([tmp_path]) as records:  # read only: as it is
        assert len(records.of(conv, TARGET)) == 1
        assert records.of(relu, TARGET) == []
    depthwise = task_of(conv_function(4, 4))
    with open_records([], tmp_path) as records:
        assert records.of(relu, TARGET) == []
        add(records, depthwise, 0, 4e-6)
        add(records, relu, 0, 5e-6)
    with open_records([tmp_path]) as records:
        assert [each.seconds for each in records.of(conv, TARGET)] == [1e-6]
        assert [each.seconds for each in records.of(depthwise, TARGET)] == [4e-6]
        assert [each.seconds for each in records.of(relu, TARGET)] == [5e-6]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no json",
        "[" * 100_000,
        "null",
        "[0]",
        '[0, [[[["Annotate", ["b0"], ["lprc.parameters"], []]], []], [1e-9], {}, []]]',
        '["0", [[[], []], [1e-9], {}, []]]',
        "\udcff\udcfe",
    ],
)
def test_lines_that_are_no_records_are_passed_over(conv: Task, tmp_path: Path, line: str) -> None:
    with open_records([], tmp_path) as records:
        best = add(records, conv, 1, 1e-6)
    with (tmp_path / MEASUREMENTS).open("ab") as file:
        file.write(line.encode("utf-8", "surrogateescape") + b"\n")
    with open_records([], tmp_path) as records:
        assert records.best(conv, TARGET) == best
        add(records, conv, 2, 2e-6)
    with open_records([tmp_path]) as records:
        assert len(records.of(conv, TARGET)) == 2


def rewrite(path: Path, change: Any) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(line)) + "\n" for line in lines))


def test_a_record_under_the_hash_of_another_task_does_not_count(conv: Task, tmp_path: Path) -> None:
    other = task_of(conv_function(6, 10))
    with open_records([], tmp_path) as records:
        add(records, other, 1, 1e-6)
    rewrite(tmp_path / WORKLOADS, lambda line: [conv.key, line[1]])
    with open_records([tmp_path]) as records:
        assert records.best(conv, TARGET) is None
        assert records.best(other, TARGET) is None


def test_a_record_that_points_to_another_task_does_not_count(conv: Task, tmp_path: Path) -> None:
    other = task_of(conv_function(6, 10))
    with open_records([], tmp_path) as records:
        add(records, conv, 0, 2e-6)
        add(records, other, 1, 1e-6)
    rewrite(tmp_path / MEASUREMENTS, lambda line: [0, line[1]])  # its shapes are others
    with open_records([tmp_path]) as records:
        assert [each.seconds for each in records.of(conv, TARGET)] == [2e-6]


@pytest.mark.parametrize("seconds", [[0.0], [-1.0], ["nan"], [1e10], [None], "x", []])
def test_times_that_are_none_do_not_win(conv: Task, tmp_path: Path, seconds: Any) -> None:
    with open_records([], tmp_path) as records:
        add(records, conv, 1, 1e-6)
    rewrite(tmp_path / MEASUREMENTS, lambda line: [0, [line[1][0], seconds, *line[1][2:]]])
    with open_records([tmp_path]) as records:
        assert records.best(conv, TARGET) is None


def test_parameters_that_the_space_does_not_have_are_never_applied(
    conv: Task, tmp_path: Path
) -> None:
    with open_records([], tmp_path) as records:
        add(records, conv, 1, 1e-6)
    path = tmp_path / MEASUREMENTS
    text = path.read_text()
    assert "columns=" in text
    path.write_text(text.replace("columns=", "columns=1000"))
    with open_records([tmp_path]) as records:
        assert len(records.of(conv, TARGET)) == 1
        assert records.best(conv, TARGET) is None


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with open_records([], tmp_path), pytest.raises(Failure) as caught:
        open_records([], tmp_path)
    assert caught.value.option == "tuning-db"
    open_records([], tmp_path).close()


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="file"):
        open_records([], tmp_path / "file")
