"""The files of ``cases/``, read; `test_cases` says what stands in one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lprc.core.graph.annotations import Range

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
