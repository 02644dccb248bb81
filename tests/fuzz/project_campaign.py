"""Campaigns whose trials start from copies of one small project."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from . import forked_runs
from .children import Campaign, Report, Work
from .forked_runs import Surroundings
from .projects import make_project

Trial = Callable[[int, "Counter[str]"], str]
"""Makes the trial of a seed, counts what became of it, and says what was wrong."""


class ProjectCampaign(Campaign):
    """Trials that are counted by what became of them; none may end a child.

    Args:
        work: What a child does with a range of seeds.
        folder: Where projects are made; it is left empty.
        part: Seeds for one child.
    """

    def __init__(self, work: Work, folder: Path, part: int) -> None:
        self.count: Counter[str] = Counter()
        super().__init__(work, (folder,), self.count.update, part=part)

    @property
    def broken(self) -> int:
        return self.wrong + sum(self.ended.values())

    def table(self) -> str:
        return "\n".join(f"{name:44}{number:6}" for name, number in sorted(self.count.items()))


@contextmanager
def made_project(folder: Path) -> Iterator[Surroundings]:
    """A project to copy, in a folder of its own that is removed at the end."""
    forked_runs.warm_up()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as there:
        place = Path(there).resolve()
        template = Surroundings(place / "project", place / "cache", place / "tmp")
        make_project(template)
        yield template


def run_trials(report: Report, seeds: range, trial: Trial) -> None:
    """Make the trial of each seed and tell the parent."""
    for seed in seeds:
        report.at(seed)
        count: Counter[str] = Counter()
        wrong = trial(seed, count)
        if wrong:
            report.wrong(f"{seed} {wrong}")
        report.counted(count)
