"""The rewrites of the pass cases (tests/passes/cases), as graphs before and after each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
import onnx_ir as ir
from pass_cases import CASES, FILES, Case, read

from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Rewrite
from lprc.core.passing.pipeline import Pipeline
from lprc.core.proof.moving import Mover
from lprc.core.proof.prove import prove
from lprc.core.proof.rewrites import Proofs, Sizes
from lprc.core.proof.snapshot import snapshot
from lprc.core.proof.verdict import Verdict
from lprc.core.running.random_inputs import random_inputs


@dataclass(frozen=True)
class RewrittenGraph:
    """One rewrite of a pass in a case.

    Attributes:
        name: The case, the pass and the number of the rewrite.
        before: The snapshot in front of it.
        after: The one behind it.
        sizes: Of the inputs.
    """

    name: str
    before: ir.Model
    after: ir.Model
    sizes: Sizes

    def prove(self, after: ir.Model | None = None) -> Verdict:
        """Prove it, or another graph in the place of that behind it."""
        model = self.after if after is None else snapshot(after, self.sizes)
        return prove(self.before, model, Mover(editing.opset_version(self.before)))


class _Collect(Proofs):
    """Keeps the snapshots instead of proving."""

    def __init__(self, name: str, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.found: list[RewrittenGraph] = []
        self._name = name

    def _prove(self, rewrite: Rewrite, before: ir.Model, after: ir.Model) -> Verdict:
        name = f"{self._name} {len(self.found) + 1}"
        self.found.append(RewrittenGraph(name, before, after, self._sizes))
        return Verdict("not proved", "not asked")


def rewrites_of_cases() -> Iterator[RewrittenGraph]:
    """Every rewrite of a provable pass, in the order of the files."""
    for path in FILES:
        case = read(path)
        if any(item.provable for item in Pipeline.parse(case.passes).passes):
            yield from rewrites_of(case, path.relative_to(CASES).with_suffix("").as_posix())


def rewrites_of(case: Case, name: str) -> list[RewrittenGraph]:
    """Those of one case."""
    model = model_io.from_proto(onnx.parser.parse_model(case.graph))
    pipeline = Pipeline.parse(case.passes)
    sizes = {
        name: array.shape for name, array in random_inputs(model, seed=1, batch=case.batch).items()
    }
    collect = _Collect(name, sizes)
    allowed = {
        position: collect.announced
        for position, item in enumerate(pipeline.passes)
        if item.provable
    }
    calibration = [random_inputs(model, seed=seed, batch=1) for seed in range(case.samples)]
    manager = PassManager(pipeline, [collect], calibration=calibration, rewrites_allowed=allowed)
    manager.run(model)
    return collect.found
