"""The table of published rows: every row is made by commands that there are, and marked fairly."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from _published.cell import behind, commands_of  # noqa: E402
from _published.page import page, points, published_points  # noqa: E402
from _published.rows import ROWS  # noqa: E402

from lprc.cli.root import root  # noqa: E402

CELL = {
    "accuracy": 0.9, "interval": [0.87, 0.93], "n": 400, "bytes": 200_000, "ms": 0.5,
    "eager_ms": 100.0, "turns": 9, "to_eager": 0.005, "peer_ms": 1.0, "to_peer": 0.5,
}  # fmt: skip


def row(name):
    return next(each for each in ROWS if each.name == name)


def test_rows_have_names_of_their_own():
    assert len({each.name for each in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    "command", [(each.name, text) for each in ROWS for text in commands_of(each)]
)
def test_commands_are_what_the_command_line_takes(command):
    program, name, *arguments = shlex.split(command[1])
    assert program == "lprc"
    known = root.get_command(None, name)
    # Parsed only: that paths exist is checked when it runs.
    known.make_context(name, arguments, resilient_parsing=True)
    if "--target" in arguments:
        from lprc.core.targets.target import target

        target(arguments[arguments.index("--target") + 1])


def test_what_is_worse_is_marked():
    assert behind(row("int8"), dict(CELL)) == ["size of report 1"]
    assert behind(row("int8"), {**CELL, "bytes": 100_000, "to_peer": 1.01}) == [
        "latency of the peer"
    ]
    worse = {**CELL, "interval": [0.7, 0.84], "bytes": 100_000}
    assert behind(row("int8"), worse) == ["accuracy of report 1"]
    assert "latency of report 1" in behind(row("int8"), {**CELL, "to_eager": 0.12})


def test_every_row_is_on_the_page_whatever_became_of_it():
    cells = {"int8": CELL, "tvm": {"problem": "it broke"}}
    text = page(cells, {"machine": "one"})
    for each in ROWS:
        assert f"| {each.technique} |" in text
    assert "**behind**: size of report 1" in text
    assert "failed: it broke" in text
    assert "not run here: `benchmarks/gpu.py`" in text
    assert "0.9000 (0.870 to 0.930, n=400)" in text


def test_points_of_both_plots():
    assert points({"int8": CELL}, "to_eager") == [("int8", 0.005, 90.0)]
    assert points({"int8": CELL}, "size") == [("int8", 0.2, 90.0)]
    assert ("int8 (1)", 0.139, 85.1) in published_points("size")
