"""Two models measured in turns, in a process of their own; prints one JSON document.

python benchmarks/_zoo_latency/turns.py OURS PEER SAMPLE SECONDS THREADS

Names are those of ``lprc bench``: a folder, a file, or ``file@runtime``. With one thread what is
measured is the process's processor time, which other programs hardly change; with more threads it
is time, as runtimes wait for their threads by spinning.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.measure.bench_inputs import given_inputs

BLOCK_SECONDS = 0.004
"""What the measured runs of one turn take together, where a run is shorter than that."""
PAUSE_SECONDS = 0.003
"""In which threads of the runtime that had its turn stop spinning."""
SETTLING_RUNS = 2
"""Runs at the beginning of a turn that are not measured."""
WARMING_RUNS = 10
LEAST_TURNS, MOST_TURNS = 40, 800
QUIET_SHARE = 4
"""Of so many turns the quietest counts."""


def main() -> None:
    """Print medians in milliseconds, and the median of the ratios of quiet turns."""
    ours, peer, sample_path, seconds, threads = sys.argv[1:]
    sample = dict(np.load(Path(sample_path)))
    clock = time.process_time if threads == "1" else time.perf_counter
    runs = [_bound(name, sample, int(threads)) for name in (ours, peer)]
    counts = []
    for run in runs:
        block_seconds(run, WARMING_RUNS, clock)
        counts.append(max(1, round(BLOCK_SECONDS / block_seconds(run, 3, clock))))
    blocks: list[tuple[float, ...]] = []
    end = time.perf_counter() + float(seconds)
    while len(blocks) < LEAST_TURNS or (time.perf_counter() < end and len(blocks) < MOST_TURNS):
        # Who begins changes, so that what drifts is none's gain.
        order = (0, 1) if len(blocks) % 2 == 0 else (1, 0)
        taken = [0.0, 0.0]
        for index in order:
            time.sleep(PAUSE_SECONDS)
            block_seconds(runs[index], SETTLING_RUNS, clock)
            taken[index] = block_seconds(runs[index], counts[index], clock)
        blocks.append((taken[0], taken[1]))
    quiet = quiet_turns(blocks)
    print(
        json.dumps(
            {
                "ours_ms": 1e3 * statistics.median(mine for mine, _ in quiet),
                "peer_ms": 1e3 * statistics.median(theirs for _, theirs in quiet),
                "ratio": statistics.median(mine / theirs for mine, theirs in quiet),
                "turns": len(blocks),
            }
        )
    )


def quiet_turns(blocks: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """The turns in which all together took the least: other programs were in the way least."""
    return sorted(blocks, key=sum)[: -(-len(blocks) // QUIET_SHARE)]


def _bound(name: str, sample: dict[str, np.ndarray], threads: int) -> Callable[[], object]:
    runner = open_artifact(name).runner(threads=threads)
    return runner.bound(given_inputs(runner, sample, name))


def block_seconds(run: Callable[[], object], count: int, clock: Callable[[], float]) -> float:
    """The median time of `count` runs, in seconds; 0 for none."""
    taken = []
    for _ in range(count):
        started = clock()
        run()
        taken.append(clock() - started)
    return statistics.median(taken) if taken else 0.0


if __name__ == "__main__":
    main()
