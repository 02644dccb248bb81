"""Seeds in child processes, so that a runtime that ends its process ends no campaign."""

from __future__ import annotations

import json
import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path

from .campaign import Count, Finding, run
from .crash_files import write

PART = 100
"""Seeds for one child."""

PATIENCE = 60.0
"""Seconds for one pass on one graph."""


def run_all(seeds: range, passes: list[str], folder: Path, until: float, count: Count) -> None:
    """Judge `passes` on the graphs of `seeds` until a time of the monotonic clock; fill `count`."""
    start = seeds.start
    while start < seeds.stop and time.monotonic() < until:
        stop = min(seeds.stop, start + PART)
        start = _run_part(range(start, stop), passes, folder, until, count)


def _run_part(seeds: range, passes: list[str], folder: Path, until: float, count: Count) -> int:
    """Run one child; the seed to go on with."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(theirs, seeds, passes, folder), daemon=True)
    child.start()
    theirs.close()
    seed, text = seeds.start, "source"
    try:
        while time.monotonic() < until:
            if not ours.poll(PATIENCE):
                _ended(seed, text, "does not end", count)
                return seed + 1
            kind, *rest = json.loads(ours.recv_bytes())
            if kind == "at":
                seed, text = rest
            elif kind == "wrong":
                print(*rest, flush=True)
            elif kind == "judged":
                count.include(*rest)
            else:
                return seeds.stop
    except EOFError:
        child.join()
        _ended(seed, text, f"ended with {child.exitcode}", count)
        return seed + 1
    finally:
        child.kill()
        child.join()
        ours.close()
    return seeds.stop


def _ended(seed: int, text: str, how: str, count: Count) -> None:
    if text == "source":
        count.graphs["ended the process"] += 1
    else:
        count.add(text, "crashed")
        print(f"{seed} {text}: the process {how}", flush=True)


def _child(connection: Connection, seeds: range, passes: list[str], folder: Path) -> None:
    def send(*message: object) -> None:
        connection.send_bytes(json.dumps(message).encode())

    def started(seed: int, text: str) -> None:
        send("at", seed, text)

    for seed in seeds:
        count = Count()
        for finding in run([seed], passes, count, started):
            send("wrong", *_described(finding, write(finding, folder)))
        send("judged", count.graphs, count.verdicts)
    send("done")


def _described(finding: Finding, where: Path | None) -> list[str]:
    verdict = finding.verdict
    what = f"{verdict.kind} {verdict.family}: {verdict.what[:200]}"
    return [str(finding.case.seed), finding.pass_text, what, f"({where})"]
