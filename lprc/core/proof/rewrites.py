"""Every rewrite of the passes that can be proved, proved while the passes run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager, PassRecord
from lprc.core.passing.pass_base import Pass, Rewrite
from lprc.core.passing.pipeline import Pipeline
from lprc.core.proof.moving import Mover
from lprc.core.proof.prove import prove
from lprc.core.proof.snapshot import snapshot
from lprc.core.proof.solver import require_z3
from lprc.core.proof.verdict import State, Verdict
from lprc.core.running.numerics import Arrays

Sizes = Mapping[str, tuple[int, ...]]
"""Shapes of a graph's inputs by name, all known."""


@dataclass(frozen=True)
class JudgedRewrite:
    """One rewrite, and whether it is proved.

    Attributes:
        position: The pass's place in the pipeline, from 0.
        pass_text: The pass with its options, as pipeline text.
        rewrite: What it announced.
        verdict: What came of the proof.
    """

    position: int
    pass_text: str
    rewrite: Rewrite
    verdict: Verdict

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "position": self.position,
            "pass": self.pass_text,
            **vars(self.rewrite),
            "origins": list(self.rewrite.origins),
            "verdict": self.verdict.document(),
        }


@dataclass(frozen=True)
class Proof:
    """The rewrites of one run of a pipeline.

    Attributes:
        judged: Those of the passes that can be proved, in order.
        others: How many the other passes made, by pipeline text.
        sizes: Shapes of the inputs that the proofs hold for.
    """

    judged: tuple[JudgedRewrite, ...]
    others: Mapping[str, int]
    sizes: Sizes

    def count(self, state: State) -> int:
        """How many rewrites came to that."""
        return sum(each.verdict.state == state for each in self.judged)

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "sizes": {name: list(shape) for name, shape in self.sizes.items()},
            "proved": self.count("proved"),
            "not_proved": self.count("not proved"),
            "refuted": self.count("refuted"),
            "rewrites": [each.document() for each in self.judged],
            "others": dict(self.others),
        }


def prove_pipeline(
    model: ir.Model,
    pipeline: Pipeline,
    sizes: Sizes,
    *,
    calibration: Sequence[Arrays] = (),
    progress: Callable[[float, int], None] | None = None,
) -> Proof:
    """Run a pipeline over a copy of `model`, and prove the rewrites of its `provable` passes.

    Args:
        model: It is not changed.
        pipeline: The passes.
        sizes: What the proofs hold for: shapes of the inputs.
        calibration: For data-driven passes.
        progress: Called with the passes done and their number.

    Raises:
        MissingDependencyError: Z3 is not installed.
        LprcError: A pass can't work on its graph.
    """
    require_z3()
    proofs = Proofs(sizes, progress)
    allowed = {
        position: proofs.announced for position, item in enumerate(pipeline.passes) if item.provable
    }
    manager = PassManager(pipeline, [proofs], calibration=calibration, rewrites_allowed=allowed)
    records = manager.run(model.clone())
    others = {
        record.text: len(record.rewrites)
        for record, item in zip(records, pipeline.passes, strict=True)
        if record.changed and not item.provable
    }
    return Proof(tuple(proofs.judged), others, sizes)


class Proofs(Instrument):
    """Takes a snapshot at each rewrite that a provable pass announces, and proves the one before.

    Args:
        sizes: As of `prove_pipeline`.
        progress: As of `prove_pipeline`.

    Attributes:
        judged: The rewrites so far.
    """

    def __init__(self, sizes: Sizes, progress: Callable[[float, int], None] | None = None) -> None:
        self.judged: list[JudgedRewrite] = []
        self._sizes = sizes
        self._progress = progress
        self._passes = 0
        self._model: ir.Model | None = None
        self._last: ir.Model | None = None
        self._pending: Rewrite | None = None
        self._verdicts: list[tuple[Rewrite, Verdict]] = []
        self._movers: dict[int, Mover] = {}

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Count the passes."""
        self._passes = len(pipeline.passes)

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """Remember what the pass works on."""
        self._model, self._last, self._pending, self._verdicts = model, None, None, []
        if self._progress is not None:
            self._progress(position, self._passes)

    def announced(self, rewrite: Rewrite) -> bool:
        """Prove the rewrite before this one, which is made once this returns True."""
        self._flush()
        self._pending = rewrite
        return True

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Prove the last rewrite; those that were taken back count for nothing."""
        if not item.provable:
            return
        self._flush()
        announced = Counter(record.rewrites)
        for rewrite, verdict in self._verdicts:
            if announced[rewrite]:
                announced[rewrite] -= 1
                judged = JudgedRewrite(record.position, record.text, rewrite, verdict)
                self.judged.append(judged)

    def _flush(self) -> None:
        assert self._model is not None
        if self._pending is None and self._last is not None:
            return
        now = snapshot(self._model, self._sizes)
        if self._pending is not None:
            assert self._last is not None
            self._verdicts.append((self._pending, self._prove(self._pending, self._last, now)))
        self._last, self._pending = now, None

    def _prove(self, rewrite: Rewrite, before: ir.Model, after: ir.Model) -> Verdict:
        opset = editing.opset_version(after)
        return prove(before, after, self._movers.setdefault(opset, Mover(opset)))
