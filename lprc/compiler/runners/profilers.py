"""The layers' times of lprc's own runtimes: OpenVINO's counters, ORT's profile, TVM's calls."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lprc.compiler.runners.openvino import OpenVinoRunner
from lprc.compiler.runners.ort import OrtRunner
from lprc.compiler.runners.tvm import TvmRunner
from lprc.core.files.json_text import parse_json
from lprc.core.running.layer_times import Event, LayerTime, over_runs
from lprc.core.running.numerics import Arrays
from lprc.core.running.runner import OpenJob


def openvino_layers(job: OpenJob, inputs: Arrays, runs: int) -> list[LayerTime]:
    """By OpenVINO's performance counters; what it fused into others did not run."""
    runner = OpenVinoRunner(job, counters=True)
    return over_runs(_openvino_run(runner, inputs) for _ in range(runs))


def _openvino_run(runner: OpenVinoRunner, inputs: Arrays) -> list[Event]:
    runner.run(inputs)
    return [
        (
            str(info.node_name),
            str(info.node_type),
            str(info.exec_type),
            info.real_time.total_seconds() * 1e3,
        )
        for info in runner.counters()
        if info.status.name == "EXECUTED"
    ]


def ort_layers(job: OpenJob, inputs: Arrays, runs: int) -> list[LayerTime]:
    """By ONNX Runtime's profile."""
    with tempfile.TemporaryDirectory() as scratch:
        runner = OrtRunner(job, profile=Path(scratch) / "profile")
        for _ in range(runs):
            runner.run(inputs)
        events = parse_json(runner.end_profile().read_bytes())
    return over_runs(_ort_runs(events))


def _ort_runs(events: list[dict[str, Any]]) -> Iterator[list[Event]]:
    """Nodes up to each end of a run, which stands behind them."""
    run: list[Event] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind = str(event["args"].get("op_name", ""))
            name = event["name"].removesuffix("_kernel_time")
            run.append((name, kind, "", event["dur"] / 1e3))
        elif event.get("name") == "model_run" and run:
            yield run
            run = []


def tvm_layers(job: OpenJob, inputs: Arrays, runs: int) -> list[LayerTime]:
    """By the calls of TVM's virtual machine; those that only allocate or look are left out."""
    runner = TvmRunner(job)
    return over_runs(_tvm_run(runner, inputs) for _ in range(runs))


def _tvm_run(runner: TvmRunner, inputs: Arrays) -> list[Event]:
    events: list[Event] = []
    started = [0.0]

    def watch(_function: Any, symbol: str, before: bool, *_arguments: Any) -> int:
        if before:
            started[0] = time.perf_counter()
        elif not symbol.startswith("vm.builtin."):
            events.append((symbol, "kernel", "", (time.perf_counter() - started[0]) * 1e3))
        return 0

    runner.watch(watch)
    runner.run(inputs)
    return events
