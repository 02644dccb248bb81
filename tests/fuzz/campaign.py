"""Runs exact passes over random graphs and keeps count."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir

from lprc.core.errors import LprcError
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_registry import pass_class, pass_names
from lprc.core.passing.pipeline import Pipeline

from .judge import Source, Verdict, judge
from .maker import DoesNotFit
from .random_graphs import Case, make_case

VARIANTS = (
    "commute-mean-conv{through-concat=true}",
    "eliminate-constant-channels{multiple=4}",
    "fold-constants{fold-qdq=true}",
    "convert-opset{version=13}",
)
VENDORS = ("onnx-optimizer", "simplify")
"""Passes over other projects' optimisers: asked for by name."""

OTHER_INPUTS = ("freeze-initializers", "set-batch")
"""Passes that change what a graph takes in."""


@functools.cache
def exact_passes() -> list[str]:
    """The text of every pass that promises `exact` at every batch and needs no samples."""
    names = []
    for name in pass_names():
        kind = pass_class(name)
        contract = getattr(kind, "contract", None)
        if contract is None or contract.kind != "exact" or contract.batch is not None:
            continue
        others = kind.changes_interface or name in VENDORS + OTHER_INPUTS
        if not kind.reads_calibration and not others:
            names.append(name)
    return [*names, *VARIANTS]


@dataclass
class Count:
    """Graphs by what became of them, verdicts by pass."""

    graphs: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, pass_text: str, kind: str, number: int = 1) -> None:
        self.verdicts.setdefault(pass_text, Counter())[kind] += number

    def include(self, graphs: dict[str, int], verdicts: dict[str, dict[str, int]]) -> None:
        """Add what another one counted."""
        self.graphs.update(graphs)
        for name, counts in verdicts.items():
            for kind, number in counts.items():
                self.add(name, kind, number)

    @property
    def wrong(self) -> int:
        kinds = ("raised", "undeclared", "invalid", "different", "crashed")
        return sum(counts[kind] for counts in self.verdicts.values() for kind in kinds)

    def table(self) -> str:
        kinds = sorted({kind for counts in self.verdicts.values() for kind in counts})
        width = max(map(len, self.verdicts), default=4)
        lines = [f"graphs: {dict(self.graphs)}", " ".join(["pass".ljust(width), *kinds])]
        for name, counts in self.verdicts.items():
            cells = [str(counts[kind]).rjust(len(kind)) for kind in kinds]
            lines.append(" ".join([name.ljust(width), *cells]))
        return "\n".join(lines)


@dataclass(frozen=True)
class Finding:
    """A broken promise."""

    case: Case
    source: Source
    pass_text: str
    verdict: Verdict


def run(
    seeds: Iterable[int], passes: list[str], count: Count, started=lambda seed, text: None
) -> Iterator[Finding]:
    """Judge every pass on the graph of every seed, before and behind shape inference."""
    for seed in seeds:
        started(seed, "source")
        try:
            case = make_case(seed)
            sources = list(_sources(case))
        except DoesNotFit:
            count.graphs["not made"] += 1
            continue
        except (LprcError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            count.graphs["not judged"] += 1
            continue
        count.graphs["judged"] += 1
        for source in sources:
            for text in passes:
                started(seed, text)
                verdict, _ = judge(source, text)
                count.add(text, verdict.kind)
                if verdict.is_wrong:
                    yield Finding(case, source, text, verdict)


def _sources(case: Case) -> Iterator[Source]:
    """The graph with its shapes inferred, and for each fourth seed as it is, too."""
    model = from_proto(case.model)
    shaped: ir.Model = model.clone()
    PassManager(Pipeline.parse("inline-functions,infer-shapes")).run(shaped)
    if case.seed % 4 == 0:
        yield Source(model, case.inputs)
    yield Source(shaped, case.inputs)
