"""Seeds in child processes, so that a runtime that ends its process ends no campaign."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

PATIENCE = 300.0
"""Seconds for one step of a seed."""


class Report:
    """What a child tells the process that started it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def at(self, seed: int, step: str = "") -> None:
        """What is begun; if the child ends, it was that."""
        self._send("at", seed, step)

    def wrong(self, text: str) -> None:
        """A broken promise."""
        self._send("wrong", text)

    def note(self, text: str) -> None:
        """Something to look at that breaks no promise."""
        self._send("note", text)

    def counted(self, *counts: Any) -> None:
        """What to add to the campaign's count, as JSON."""
        self._send("counted", *counts)

    def done(self) -> None:
        self._send("done")

    def _send(self, *message: object) -> None:
        self._connection.send_bytes(json.dumps(message).encode())


Work = Callable[..., None]
"""A function of a module, which a child calls with a report, a range of seeds and more."""


@dataclass
class Campaign:
    """A kind of trials, each of which has a seed.

    Attributes:
        work: What a child does with a range of seeds.
        more: What it is told besides.
        include: Adds what it counted.
        part: Seeds for one child.
        ended: How often a child was ended by a seed and step, by its text.
        trials: How many there were.
        wrong: How many promises were broken.
        said: What was wrong.
    """

    work: Work
    more: tuple[Any, ...]
    include: Callable[..., None]
    part: int = 100
    ended: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    wrong: int = 0
    said: list[str] = field(default_factory=list)

    def run(self, seeds: range, until: float) -> int:
        """Go through `seeds` until a time of the monotonic clock; the first that is left."""
        start = seeds.start
        while start < seeds.stop and time.monotonic() < until:
            stop = min(seeds.stop, start + self.part)
            start = self._run_part(range(start, stop), until)
            print(f"{start - seeds.start} done", file=sys.stderr, flush=True)
        return start

    def _run_part(self, seeds: range, until: float) -> int:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_child, args=(theirs, self.work, seeds, self.more))
        child.daemon = True
        child.start()
        theirs.close()
        seed, step = seeds.start, ""
        try:
            while time.monotonic() < until:
                if not ours.poll(PATIENCE):
                    self._stopped(seed, step, "does not end")
                    return seed + 1
                kind, *rest = json.loads(ours.recv_bytes())
                if kind == "at":
                    seed, step = rest
                elif kind in ("wrong", "note"):
                    if kind == "wrong":
                        self.wrong += 1
                        self.said += rest
                    print(*rest, flush=True)
                elif kind == "counted":
                    self.trials += 1
                    self.include(*rest)
                else:
                    return seeds.stop
        except EOFError:
            child.join()
            self._stopped(seed, step, f"ended with {child.exitcode}")
            return seed + 1
        finally:
            child.kill()
            child.join()
            ours.close()
        return seed

    def _stopped(self, seed: int, step: str, how: str) -> None:
        self.ended[step] += 1
        self.said.append(f"{seed} {step}: the process {how}")
        print(self.said[-1], flush=True)


def _child(connection: Connection, work: Work, seeds: range, more: tuple[Any, ...]) -> None:
    report = Report(connection)
    work(report, seeds, *more)
    report.done()
