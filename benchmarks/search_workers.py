"""Trials a minute of a search with two single-core workers against one.

    python benchmarks/search_workers.py model.onnx --task lprnet --calib calib/ --data judged/ \\
        --trials 24 --repeats 3 --json workers.json

Each worker is a Dask worker of this machine on a core of its own, with one thread and a cache of
its own, empty at first. All searches draw the same candidates (``--sampler random``, one seed). The
time is that from the first trial's start to the last one's end, latencies included; the ratio is
that of runs beside each other, in the order one, two, two, one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lprc.compiler.searching.evaluate import Question
from lprc.compiler.searching.run import SearchRequest, run_search
from lprc.compiler.searching.search import Limits
from lprc.compiler.searching.study import DATABASE


@contextmanager
def cluster(cores: list[int], folder: Path) -> Iterator[str]:
    """The address of a scheduler with a worker on each of some cores."""
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    processes = [_started([*dask, "--scheduler-file", str(file), "--no-dashboard", "--port", "0"])]
    try:
        while not file.exists():
            time.sleep(0.1)
        for core in cores:
            command = ["taskset", "-c", str(core), sys.executable, "-m"]
            command += ["distributed.cli.dask_worker", "--scheduler-file", str(file)]
            command += ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
            local = folder / f"worker-{core}"
            local.mkdir()
            command += ["--local-directory", str(local)]
            processes.append(_started(command, LPRC_CACHE_DIR=str(local / "cache")))
        address = str(json.loads(file.read_text(encoding="utf-8"))["address"])
        from distributed import Client

        with Client(address, set_as_default=False, timeout=60) as client:
            client.wait_for_workers(len(cores), timeout=300)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def _started(command: list[str], **more: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def searched(cores: list[int], given: argparse.Namespace) -> dict[str, Any]:
    """One search on workers of some cores."""
    question = Question(
        given.model.absolute(),
        given.data.absolute(),
        given.calib.absolute(),
        given.task,
        given.max_drop,
        1,
        given.seed,
    )
    with tempfile.TemporaryDirectory() as scratch, cluster(cores, Path(scratch)) as address:
        request = SearchRequest(
            question,
            Path(scratch) / "study",
            Limits(24 * 3600.0, given.trials),
            targets=tuple(given.targets.split(",")),
            sampler="random",
            seed=given.seed,
            scheduler=address,
        )
        document = run_search(request).document
        seconds = _seconds(request.folder / DATABASE)
    return {
        "workers": len(cores),
        "trials": document["trials"],
        "stages": document["stages"],
        "seconds": seconds,
        "per_minute": 60 * document["trials"] / seconds,
    }


def _seconds(database: Path) -> float:
    """From the start of the first trial to the end of the last."""
    import optuna

    (summary,) = optuna.get_all_study_summaries(f"sqlite:///{database}")
    study = optuna.load_study(study_name=summary.study_name, storage=f"sqlite:///{database}")
    starts = [trial.datetime_start for trial in study.trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in study.trials if trial.datetime_complete]
    return (max(ends) - min(starts)).total_seconds()


def main() -> None:
    """Run all, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--task")
    for name in ("--calib", "--data"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--targets", default="ort-*,ov-*")
    parser.add_argument("--max-drop", type=float, default=0.005)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error("it needs two cores")
    rows: list[dict[str, Any]] = []
    ratios: list[float] = []
    for repeat in range(given.repeats):
        one, two = cores[:1], cores
        pair = [searched(own, given) for own in ((one, two) if repeat % 2 == 0 else (two, one))]
        rows += pair
        rate = {row["workers"]: row["per_minute"] for row in pair}
        ratios.append(rate[2] / rate[1])
        for row in pair:
            print(f"{row['workers']} workers: {row['per_minute']:.2f} trials a minute", flush=True)
    print(f"two over one: {statistics.median(ratios):.2f} (of {len(ratios)} pairs)")
    if given.json is not None:
        document = {"rows": rows, "ratios": ratios}
        given.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
