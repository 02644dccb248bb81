"""Where a search on many machines saturates: Dask's scheduler with simulated workers that sleep.

    python benchmarks/cluster_scale.py --workers 10,100,1000 --json scale.json

The scheduler is Dask's own, in a process by itself, and `lprc.compiler.cluster` sends the tasks as
it does in a search. The workers are simulated: all of them are in one process, and a task of theirs
sleeps. So what is real is what scheduler and sender compute for each task, which is why the CPU
seconds of those two are what is shown; what is not simulated are networks, disks, and payloads
of more than a few kB.

Two tables:

1. tasks: what each costs the scheduler and the sender, by the number of workers.
2. searches: rounds as `lprc.compiler.searching.search` runs them: as many trials at once as there
   are workers, of different lengths, then latencies of those that are accurate enough, one behind
   the other on one worker. Several models are searches beside each other on the same workers, each
   with a worker of its own that measures. Seconds are shortened `--speed` times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lprc.compiler.cluster.connection import Cluster
from lprc.compiler.cluster.parcels import Parcel

PAYLOAD = Parcel(b"x" * 4096, "0" * 64)

TRIAL_SECONDS, SPREAD = 10.0, 0.5
"""The median of a trial, and the deviation of its logarithm."""

MEASURE_SECONDS, ACCURATE = 1.0, 0.4
"""What a latency takes beside the incumbent's, and how many trials have one to measure."""


async def asleep(payload: bytes, digest: str, seconds: float) -> int:
    """What a simulated worker does."""
    await asyncio.sleep(seconds)
    return len(payload) + len(digest)


def run_scheduler(file: Path) -> None:
    """A scheduler, whose address is written to `file`."""
    from distributed import Scheduler

    async def serve() -> None:
        async with Scheduler(host="127.0.0.1", dashboard=False) as scheduler:
            file.with_suffix(".new").write_text(scheduler.address)
            file.with_suffix(".new").rename(file)
            await scheduler.finished()

    asyncio.run(serve())


def run_workers(address: str, count: int, measuring: int) -> None:
    """Workers that share this process; the first ones have the resource ``BOX``."""
    from distributed import Worker

    async def serve() -> None:
        workers = []
        for index in range(count):
            own = {"BOX": 1.0} if index < measuring else None
            workers.append(await Worker(address, nthreads=1, name=str(index), resources=own))
        await asyncio.gather(*(worker.finished() for worker in workers))

    asyncio.run(serve())


@contextmanager
def simulated(count: int, measuring: int = 1) -> Iterator[str]:
    """The address of a scheduler with so many simulated workers."""
    me = [sys.executable, str(Path(__file__).resolve())]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "address"
        scheduler = subprocess.Popen([*me, "--serve", str(file)], stderr=subprocess.DEVNULL)
        workers = None
        try:
            while not file.exists():
                time.sleep(0.05)
            address = file.read_text()
            command = [*me, "--work", address, "--workers", str(count)]
            command += ["--measuring", str(measuring)]
            workers = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            _wait_for(address, count)
            yield address
        finally:
            for process in (workers, scheduler):
                if process is not None:
                    process.kill()
                    process.wait()


def _wait_for(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, set_as_default=False, timeout=60) as client:
        client.wait_for_workers(count, timeout=600)


def scheduler_seconds(address: str) -> float:
    """The CPU seconds of the scheduler's process so far."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        seconds: float = client.run_on_scheduler(time.process_time)
        return seconds


def tasks_row(address: str, count: int, seconds: float) -> dict[str, Any]:
    """What a task costs with `count` workers."""
    tasks = max(200, 4 * count)
    cluster = Cluster(address, PAYLOAD)
    cluster.result(cluster.submit(asleep, 0.0))  # connections are made
    before, ours, started = scheduler_seconds(address), time.process_time(), time.monotonic()
    futures = cluster.submit_all(asleep, [(seconds,)] * tasks)
    for future in futures:
        cluster.result(future)
    wall = time.monotonic() - started
    ours = time.process_time() - ours
    spent = scheduler_seconds(address) - before
    cluster.close()
    return {
        "workers": count,
        "tasks": tasks,
        "wall_s": wall,
        "ideal_s": math.ceil(tasks / count) * seconds,
        "scheduler_ms": 1e3 * spent / tasks,
        "sender_ms": 1e3 * ours / tasks,
    }


def one_search(address: str, slots: int, rounds: int, speed: float, seed: int) -> int:
    """Rounds of one search; how many trials there were."""
    generator = random.Random(seed)
    cluster = Cluster(address, PAYLOAD)
    for _ in range(rounds):
        seconds = [
            (TRIAL_SECONDS * math.exp(generator.gauss(0.0, SPREAD)) / speed,) for _ in range(slots)
        ]
        for future in cluster.submit_all(asleep, seconds):
            cluster.result(future)
        accurate = sum(generator.random() < ACCURATE for _ in range(slots))
        measured = cluster.submit(asleep, accurate * MEASURE_SECONDS / speed, resource="BOX")
        cluster.result(measured, "BOX")
    cluster.close()
    return rounds * slots


def searches_row(
    address: str, count: int, models: int, rounds: int, speed: float
) -> dict[str, Any]:
    """Searches of several models beside each other."""
    slots = max(1, count // models)
    before, started = scheduler_seconds(address), time.monotonic()
    threads = [
        threading.Thread(target=one_search, args=(address, slots, rounds, speed, seed))
        for seed in range(models)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = (time.monotonic() - started) * speed
    spent = scheduler_seconds(address) - before
    trials = models * rounds * slots
    return {
        "workers": count,
        "models": models,
        "trials": trials,
        "trials_per_minute": 60 * trials / wall,
        "per_worker": 60 * trials / wall / count,
        "scheduler_ms": 1e3 * spent / trials,
    }


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """A table."""
    print("  ".join(f"{name:>18}" for name in rows[0]))
    for row in rows:
        cells = [f"{v:18.3f}" if isinstance(v, float) else f"{v:18}" for v in row.values()]
        print("  ".join(cells))
    print(flush=True)


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="10,100,1000", help="numbers of simulated workers")
    parser.add_argument("--models", default="1,4", help="numbers of searches at once")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a task of the first table")
    parser.add_argument("--rounds", type=int, default=4, help="of each search")
    parser.add_argument("--speed", type=float, default=10.0, help="seconds of a search in one here")
    parser.add_argument("--json", type=Path)
    for hidden in ("--serve", "--work"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--measuring", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # several sockets a worker
    if given.serve:
        run_scheduler(Path(given.serve))
    elif given.work:
        run_workers(given.work, int(given.workers), given.measuring)
    else:
        tasks: list[dict[str, Any]] = []
        searches: list[dict[str, Any]] = []
        numbers = [int(text) for text in given.models.split(",")]
        for count in map(int, given.workers.split(",")):
            with simulated(count, measuring=max(numbers)) as address:
                tasks.append(tasks_row(address, count, given.seconds))
                print_rows(tasks[-1:])
                for models in (number for number in numbers if number <= count):
                    row = searches_row(address, count, models, given.rounds, given.speed)
                    searches.append(row)
                    print_rows([row])
        if given.json is not None:
            document = {"tasks": tasks, "searches": searches}
            given.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
