"""The files of ``cases/``, read; `test_cases` says what stands in one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from lprc.core.graph.annotations import Range, set_range
from lprc.core.onnx_io import model_io
from lprc.core.running.numerics import Arrays
from lprc.core.running.random_inputs import random_inputs

CASES = Path(__file__).parent / "cases"
FILES = sorted(CASES.rglob("*.txt"))


@dataclass(frozen=True)
class Case:
    passes: str
    batch: int
    ranges: dict[str, Range]
    samples: int
    graph: str
    header: str
    expected: str


def read(path: Path) -> Case:
    source, _, expected = path.read_text(encoding="utf-8").partition("# output\n")
    lines = source.splitlines()
    head = [line for line in lines if line.startswith("#")]
    options = dict(line.lstrip("# ").split(":", 1) for line in head if ":" in line)
    assert "passes" in options, f"{path}: its first line must be '# passes: …'"
    graph = "\n".join(line for line in lines if not line.startswith("#"))
    return Case(
        options["passes"].strip(),
        int(options.get("batch", "2")),
        _ranges(options.get("ranges", "")),
        int(options.get("calibration", "0 samples").split()[0]),
        graph,
        source,
        expected.strip(),
    )


def _ranges(text: str) -> dict[str, Range]:
    found = re.findall(r"%(\S+) \[(\S+), (\S+)\]", text)
    assert len(found) == text.count("%"), f"'# ranges: %x [0, 6], %y [-1, 1]', not '{text.strip()}'"
    return {name: Range(float(low), float(high)) for name, low, high in found}


def model_of(case: Case) -> ir.Model:
    """The graph in front of the passes, with its ranges."""
    model = model_io.from_proto(onnx.parser.parse_model(case.graph))
    values = [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]
    by_name = {value.name: value for value in values}
    for name, recorded in case.ranges.items():
        set_range(by_name[name], recorded)
    return model


def calibration(case: Case, model: ir.Model) -> list[Arrays]:
    """The samples for data-driven passes."""
    return [random_inputs(model, seed=seed, batch=1) for seed in range(case.samples)]
