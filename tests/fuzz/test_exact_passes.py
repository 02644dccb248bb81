"""Exact passes on random graphs: a fixed share of what `make fuzz` goes through."""

from __future__ import annotations

import pytest
from fuzz.campaign import Count, exact_passes, run

SEEDS = range(1000, 1150)
PARTS = 3


@pytest.mark.parametrize("part", range(PARTS))
def test_no_pass_breaks_its_promise(part):
    count = Count()
    findings = run(SEEDS[part::PARTS], exact_passes(), count)
    wrong = [(each.case.seed, each.pass_text, each.verdict) for each in findings]
    assert not wrong, f"python -m tests.fuzz --campaign graphs --seed N --count 1\n{wrong}"
    # Most graphs run, and most passes find something to do.
    assert count.graphs["judged"] > 0.6 * len(SEEDS[part::PARTS])
    assert sum(counts["same"] > 0 for counts in count.verdicts.values()) > 12
