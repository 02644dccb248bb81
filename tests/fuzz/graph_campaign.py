"""The campaign `graphs`: every exact pass on random graphs."""

from __future__ import annotations

from pathlib import Path

from .campaign import Count, Finding, exact_passes, run
from .children import Campaign, Report
from .crash_files import write


class GraphCampaign(Campaign):
    """Exact passes on random graphs.

    Args:
        folder: Where crash files go.
        passes: Pipeline texts; all exact passes by default.
    """

    def __init__(self, folder: Path, passes: list[str] | None = None) -> None:
        self.count = Count()
        super().__init__(_work, (passes or exact_passes(), folder / "graphs"), self.count.include)

    @property
    def broken(self) -> int:
        # Runtimes end the process on some graphs before any pass has seen them.
        crashed = sum(number for step, number in self.ended.items() if step != "source")
        return self.count.wrong + crashed

    def table(self) -> str:
        return f"{self.count.table()}\nprocesses that ended: {dict(self.ended)}"


def _work(report: Report, seeds: range, passes: list[str], folder: Path) -> None:
    for seed in seeds:
        count = Count()
        for finding in run([seed], passes, count, report.at):
            report.wrong(_described(finding, write(finding, folder)))
        report.counted(count.graphs, count.verdicts)


def _described(finding: Finding, where: Path | None) -> str:
    verdict = finding.verdict
    what = f"{verdict.kind} {verdict.family}: {verdict.what[:200]}"
    return f"{finding.case.seed} {finding.pass_text} {what} ({where})"
