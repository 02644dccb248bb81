"""What each pass of ``ov-int8`` does to LPRNet, on one screen a pass: ``diffs/NN-PASS.txt``.

``pytest tests/passes --regenerate`` writes the files for the bundled model; of the real one
nothing is kept.
"""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import pytest

from lprc.core.graph_diff.text import WIDTH, Line, as_text
from lprc.core.instruments.print_changes import PrintChanges, Printing
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.random_inputs import random_inputs
from lprc.core.targets.target import target

FOLDER = Path(__file__).parent / "diffs"
SCREEN_LINES = 50


def pass_diffs(model: ir.Model) -> dict[str, list[Line]]:
    """The text of each pass that changed something, by number and name."""
    lines: list[Line] = []
    pipeline = Pipeline.parse(target("ov-int8").pipeline)
    manager = PassManager(
        pipeline,
        [PrintChanges(Printing(lines.append, changed="quiet"))],
        calibration=[random_inputs(model, seed=seed, batch=1) for seed in range(8)],
    )
    records = manager.run(model)
    starts = [number for number, line in enumerate(lines) if line.text.startswith("*** ")]
    texts = [lines[i:j] for i, j in zip(starts, [*starts[1:], len(lines)], strict=True)]
    names = [f"{each.position + 1:02d}-{each.name}" for each in records if each.changed]
    return dict(zip(names, texts, strict=True))


def check_screens(found: dict[str, list[Line]]) -> None:
    assert len(found) >= 12
    for name, lines in found.items():
        assert 2 < len(lines) <= SCREEN_LINES, name
        assert all(len(line.text) <= WIDTH for line in lines[1:]), name
        assert not any("no difference" in line.text for line in lines), name


def test_the_bundled_model(bundled, regenerate):
    found = pass_diffs(load(bundled))
    check_screens(found)
    if regenerate:
        FOLDER.mkdir(exist_ok=True)
        for path in FOLDER.glob("*.txt"):
            path.unlink()
        for name, lines in found.items():
            (FOLDER / f"{name}.txt").write_text(as_text(lines), encoding="utf-8")
    expected = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt")}
    assert sorted(found) == sorted(expected)
    for name, lines in found.items():
        assert as_text(lines) == expected[name], name


@pytest.mark.data
def test_the_real_model(lprnet_onnx):
    check_screens(pass_diffs(load(lprnet_onnx)))
