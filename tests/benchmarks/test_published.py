"""The table of published rows: every row is made by commands that there are, and marked fairly."""

from __future__ import annotations

import itertools
import shlex
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from _published.cell import behind, commands_of  # noqa: E402
from _published.labels import Box, places  # noqa: E402
from _published.page import page, points, published_points  # noqa: E402
from _published.rows import ROWS  # noqa: E402
from _published.tvm_stages import with_plain_constants  # noqa: E402

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
    assert behind(row("int8"), dict(CELL)) == ["report 1 in size"]
    assert behind(row("int8"), {**CELL, "bytes": 100_000, "to_peer": 1.01}) == [
        "the peer in latency"
    ]
    worse = {**CELL, "interval": [0.7, 0.84], "bytes": 100_000}
    assert behind(row("int8"), worse) == ["report 1 in accuracy"]
    assert "report 1 in latency" in behind(row("int8"), {**CELL, "to_eager": 0.12})


def test_every_row_is_on_the_page_whatever_became_of_it():
    cells = {"int8": CELL, "tvm": {"problem": "it broke"}}
    text = page(cells, {"machine": "one"})
    for each in ROWS:
        assert f"| {each.technique} (`{each.name}`) |" in text
    assert "**behind**: report 1 in size" in text
    assert "failed: it broke" in text
    assert "not run here: `benchmarks/gpu.py`" in text
    assert "| 90.00 (87.0 to 93.0) |" in text
    assert "ours of the 400 in `val`" in text


def test_points_of_both_plots():
    assert points({"int8": CELL}, "to_eager") == [("int8", 0.005, 90.0)]
    assert points({"int8": CELL}, "size") == [("int8", 0.2, 90.0)]
    assert ("int8 (1)", 0.139, 85.1) in published_points("size")


def test_names_in_a_plot_cover_neither_points_nor_each_other():
    points = [(100.0 + 3 * index, 100.0) for index in range(8)]
    texts = [f"technique {index}" for index in range(8)]
    boxes = places(points, texts, Box(0, 0, 400, 200))
    markers = [Box(x - 2, y - 2, x + 2, y + 2) for x, y in points]
    for one, other in itertools.combinations([*boxes, *markers], 2):
        if one in boxes or other in boxes:
            assert one.overlap(other) == 0
    assert all(box.left >= 0 and box.right <= 400 and box.top <= 200 for box in boxes)


def test_constants_become_what_tvms_importer_takes():
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[2] x) => (float[2] y, int64[2] z) {
      a = Constant<value_floats = [1.5, 2.0]>()
      z = Constant<value_ints = [3, 4]>()
      y = Add(x, a)
    }"""
    model = with_plain_constants(onnx.parser.parse_model(text))
    assert [node.attribute[0].name for node in model.graph.node[:2]] == ["value", "value"]
    outputs = ReferenceEvaluator(model).run(None, {"x": np.zeros(2, np.float32)})
    np.testing.assert_array_equal(outputs[0], [1.5, 2.0])
    np.testing.assert_array_equal(outputs[1], [3, 4])
