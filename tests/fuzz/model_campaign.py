"""The campaign `models`: mutated models through the command line."""

from __future__ import annotations

import functools
import os
from collections import Counter
from pathlib import Path

from lprc.core import registry

from .bases import Bases
from .children import Campaign, Report
from .model_trials import LOUD, keep, run
from .shrinking import shrink


class ModelCampaign(Campaign):
    """Mutated models through the command line.

    Args:
        folder: Where crash files go.
        models: A folder of models of real networks to mutate, too.
    """

    def __init__(self, folder: Path, models: Path | None = None) -> None:
        self.count: Counter[str] = Counter()
        operators = folder / "operators.zip"
        Bases(operators)  # made once, before children look for it
        more = (operators, models, folder / "models")
        super().__init__(_work, more, self.count.update, part=500)

    @property
    def broken(self) -> int:
        return self.wrong + sum(number for step, number in self.ended.items() if not step)

    def table(self) -> str:
        return "\n".join(f"{name:28}{number:8}" for name, number in sorted(self.count.items()))


def _work(report: Report, seeds: range, operators: Path, models: Path | None, folder: Path) -> None:
    os.environ["LPRC_RUN_SECONDS"] = "5"
    # What is installed does not change meanwhile, and is asked for in every run.
    registry.entry_points = functools.cache(registry.entry_points)
    bases = Bases(operators, models)
    for seed in seeds:
        count: Counter[str] = Counter()
        for trial, wrong, scratch in run([seed], bases, count, report.at):
            place = keep(trial, wrong, scratch, folder)
            text = f"{seed} {trial.kind}: {wrong} ({place}; {trial.made.story})"
            (report.note if wrong.startswith(LOUD) else report.wrong)(text)
            report.at(seed, "shrinking")
            shrink(trial, wrong, scratch, place)
        report.counted(count)
