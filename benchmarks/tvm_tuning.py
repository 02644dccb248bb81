"""Trials per minute: lprc's workers that stay alive against MetaSchedule's LocalBuilder and Runner.

    python benchmarks/tvm_tuning.py [lowered.onnx] [--trials 64] [--rounds 2]

Both build and measure the same schedules of the same kernels in turn, in batches of MetaSchedule's
default size, with as many processes as there are cores.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tvm.relax.frontend.onnx import from_onnx
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule.builder import BuilderInput, LocalBuilder
from tvm.s_tir.meta_schedule.runner import LocalRunner, RunnerInput

from lprc.targets.tvm_backend import packing, spaces
from lprc.targets.tvm_backend.database import target_document
from lprc.targets.tvm_backend.machine import Machine, find_target
from lprc.targets.tvm_backend.measuring_pool import MeasuringPool
from lprc.targets.tvm_backend.search import Search
from lprc.targets.tvm_backend.strategy import TaskTuning, candidate_of
from lprc.targets.tvm_backend.tasks import Task, find_tasks

CORES = len(os.sched_getaffinity(0))
BATCH = 64
PATIENCE = 300.0
"""Seconds for the stock builder: where the machine has other work, its own 30 are over before its
workers have imported TVM, and nothing is measured at all."""


def convolutions() -> onnx.ModelProto:
    """Three convolutions of LPRNet's sizes, one after the other."""
    generator = np.random.default_rng(0)
    nodes, weights = [], []
    for index, (out, inner, kernel) in enumerate(
        [(64, 64, (1, 3)), (64, 64, (3, 1)), (128, 64, (3, 3))]
    ):
        shape = (out, inner, *kernel)
        array = generator.standard_normal(shape).astype(np.float32)
        weights.append(numpy_helper.from_array(array, f"w{index}"))
        pads = [size // 2 for size in kernel] * 2
        nodes.append(
            helper.make_node("Conv", [f"x{index}", f"w{index}"], [f"x{index + 1}"], pads=pads)
        )
    image = helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, 64, 18, 44])
    result = helper.make_tensor_value_info("x3", TensorProto.FLOAT, [1, 128, 18, 44])
    graph = helper.make_graph(nodes, "convolutions", [image], [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def schedules(tasks: list[Task], target: Any, count: int, seed: int) -> list[tuple[Task, Any]]:
    """Schedules of all tasks, in turn."""
    generator = random.Random(seed)
    made = []
    for number in range(count):
        task = tasks[number % len(tasks)]
        parameters = generator.choice(spaces.candidates(task, target))
        made.append((task, spaces.schedule(task, target, parameters).mod))
    return made


def ours(pool: MeasuringPool, target: Any, scheduled: list[tuple[Task, Any]]) -> int:
    """How many were measured."""
    candidates = []
    for task, module in scheduled:
        candidates.append(candidate_of(TaskTuning(task, target, Search([], "", 1)), module))
    keys = [key for key in pool.build(candidates) if isinstance(key, int)]
    return sum(measurement.seconds is not None for measurement in pool.run(keys))


def stock(target: Any, scheduled: list[tuple[Task, Any]]) -> int:
    """How many were measured."""
    builder = LocalBuilder(max_workers=CORES, timeout_sec=PATIENCE)
    runner = LocalRunner(timeout_sec=PATIENCE)
    built = builder.build([BuilderInput(module, target) for _, module in scheduled])
    inputs = [
        RunnerInput(result.artifact_path, "cpu", task.args_info)
        for (task, _), result in zip(scheduled, built, strict=True)
        if result.error_msg is None
    ]
    return sum(future.result().run_secs is not None for future in runner.run(inputs))


def main() -> None:
    """Measure both and print trials per minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--trials", type=int, default=BATCH, help="in each round, of each")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    request = {"mcpu": "auto", "triple": "auto", "num_cores": CORES, "mattr": []}
    target = find_target(request)
    print(f"target {target_document(target)}, {ms.__name__}")
    proto = onnx.load(arguments.model) if arguments.model else convolutions()
    imported = from_onnx(proto, keep_params_in_input=False)
    module, _ = packing.pack(imported, Machine.of_target(target))
    tasks = [task for task in find_tasks(module) if len(spaces.candidates(task, target)) > 1]
    print(f"{len(tasks)} tasks, {arguments.trials} trials a round, load {os.getloadavg()[0]:.1f}")
    rates: dict[str, list[float]] = {"lprc": [], "stock": []}
    begin = time.monotonic()
    with MeasuringPool(CORES, CORES) as pool:
        print(f"lprc's workers start once: {time.monotonic() - begin:.1f} s (not counted below)")
        for number in range(arguments.rounds):
            scheduled = schedules(tasks, target, arguments.trials, number)
            for name in ("lprc", "stock"):
                begin = time.monotonic()
                batches = [scheduled[at : at + BATCH] for at in range(0, len(scheduled), BATCH)]
                count = sum(
                    ours(pool, target, batch) if name == "lprc" else stock(target, batch)
                    for batch in batches
                )
                seconds = time.monotonic() - begin
                rates[name].append(60 * count / seconds)
                text = f"{count} of {len(scheduled)} measured in {seconds:.1f} s"
                print(f"round {number + 1} {name:5}: {text}, {rates[name][-1]:.0f} trials/min")
    median = {name: float(np.median(values)) for name, values in rates.items()}
    if not median["stock"]:
        raise SystemExit("the stock builder measured nothing")
    print(f"lprc / stock: {median['lprc'] / median['stock']:.1f}")


if __name__ == "__main__":
    main()
