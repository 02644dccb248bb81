"""Checks that each pass keeps its promise, by running the graph before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from lprc.core.atomic import atomic_folder
from lprc.core.contract import Contract, exact
from lprc.core.errors import PromiseBrokenError
from lprc.core.instruments.base import Instrument
from lprc.core.manager import PassRecord
from lprc.core.model_io import to_bytes
from lprc.core.numerics import Arrays, OutputDelta, RunError, Session, compare
from lprc.core.pass_base import Pass
from lprc.core.pipeline import Pipeline
from lprc.core.random_inputs import random_inputs

Mode = Literal["final", "each"]
Outputs = list[dict[str, Any]]


@dataclass(frozen=True)
class _Reference:
    """A graph as bytes, and what it puts out for our inputs; None if it can't be run."""

    data: bytes
    outputs: Outputs | None


class Verify(Instrument):
    """Runs graphs in ONNX Runtime and holds every pass to its contract.

    A lossy pass is not judged here, and what it made is the next reference.

    Args:
        mode: ``each`` checks after every pass that changed something, ``final`` once, under the
            loosest contract of those passes.
        inputs: Real inputs by name; by default one random set from `seed`.
        seed: Of the random inputs.
        reproducer: The folder to write when a promise is broken: both graphs, the inputs and the
            pipeline. None writes nothing.

    Attributes:
        deltas: The outputs' differences by the pass's position; in ``final`` mode at the last.
        warnings: What could not be checked, and why.
    """

    def __init__(
        self,
        mode: Mode = "each",
        *,
        inputs: Sequence[Arrays] | None = None,
        seed: int = 0,
        reproducer: Path | None = None,
    ) -> None:
        self.mode = mode
        self.deltas: dict[int, list[OutputDelta]] = {}
        self.warnings: list[str] = []
        self._given = inputs
        self._seed = seed
        self._reproducer = reproducer
        self._inputs: list[Arrays] = []
        self._reference = _Reference(b"", None)
        self._changed: list[PassRecord] = []

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Choose the inputs and run the source graph."""
        batches = [item.contract.batch for item in pipeline.passes if item.contract.batch]
        batch = min(batches, default=None)
        if batch is None and any(item.name == "set-batch" for item in pipeline.passes):
            batch = 1
        self._inputs = (
            list(self._given)
            if self._given is not None
            else [random_inputs(model, seed=self._seed, batch=batch)]
        )
        self._take_as_reference(model, "the source graph")

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Check the pass, or remember it for the end.

        Raises:
            PromiseBrokenError: The outputs moved by more than the pass's contract allows.
        """
        if not record.changed:
            return
        self._changed.append(record)
        if record.contract.kind == "lossy" or self._reference.outputs is None:
            if self.mode == "each" and self._reference.outputs is not None:
                self._compare(model, record, judge=False)
            self._take_as_reference(model, f"the graph after '{record.text}'")
            self._changed.clear()
        elif self.mode == "each":
            self._compare(model, record, judge=True)
            self._changed.clear()

    def finish(self, model: ir.Model, records: list[PassRecord]) -> None:
        """In ``final`` mode, check the whole.

        Raises:
            PromiseBrokenError: The outputs moved by more than the loosest contract allows.
        """
        if self.mode == "final" and self._changed and self._reference.outputs is not None:
            self._compare(model, self._changed[-1], judge=True)

    def _take_as_reference(self, model: ir.Model, what: str) -> None:
        data = to_bytes(model)
        try:
            outputs: Outputs | None = self._run(data)
        except RunError as error:
            outputs = None
            if not self.warnings:
                self.warnings.append(f"not verified: {what} does not run: {error.message}")
        else:
            if self.warnings and self._reference.outputs is None:
                self.warnings.append(f"verified from {what} on")
        self._reference = _Reference(data, outputs)

    def _run(self, data: bytes) -> Outputs:
        session = Session(data)
        return [session.run(inputs) for inputs in self._inputs]

    def _compare(self, model: ir.Model, record: PassRecord, *, judge: bool) -> None:
        assert self._reference.outputs is not None
        data = to_bytes(model)
        contract = record.contract if self.mode == "each" else self._loosest()
        try:
            outputs = self._run(data)
        except RunError as error:
            raise self._broken(data, record, error.message) from error
        deltas = _worst(
            [compare(a, b) for a, b in zip(self._reference.outputs, outputs, strict=True)]
        )
        self.deltas[record.position] = deltas
        bad = [delta for delta in deltas if not delta.within(contract.tolerance)]
        if judge and bad:
            raise self._broken(data, record, "; ".join(map(str, bad[:3])), contract)
        if self.mode == "each":
            self._reference = _Reference(data, outputs)

    def _loosest(self) -> Contract:
        contracts = [record.contract for record in self._changed]
        return max(contracts, key=lambda contract: contract.tolerance, default=exact)

    def _broken(
        self, data: bytes, record: PassRecord, what: str, contract: Contract | None = None
    ) -> PromiseBrokenError:
        culprit = f"pass '{record.text}'" if self.mode == "each" else "pipeline"
        promise = f"promised {contract}, but " if contract is not None else ""
        hint = "--verify each finds the pass" if self.mode == "final" else None
        if self._reproducer is not None:
            self._write_reproducer(self._reproducer, data, record)
            hint = f"both graphs and the inputs are in {self._reproducer}"
        return PromiseBrokenError(f"{promise}{what}", where=culprit, hint=hint)

    def _write_reproducer(self, folder: Path, after: bytes, record: PassRecord) -> None:
        texts = [each.text for each in self._changed] if self.mode == "final" else [record.text]
        with atomic_folder(folder, may_replace=_is_reproducer) as temporary:
            (temporary / "before.onnx").write_bytes(self._reference.data)
            (temporary / "after.onnx").write_bytes(after)
            (temporary / "pipeline.txt").write_text(",".join(texts) + "\n", encoding="utf-8")
            for number, inputs in enumerate(self._inputs):
                # Object arrays (strings) would be pickled.
                plain = {k: a.astype(str) if a.dtype == object else a for k, a in inputs.items()}
                np.savez(temporary / f"inputs-{number}.npz", **plain)  # type: ignore[arg-type]
            (temporary / "replay.txt").write_text(_REPLAY, encoding="utf-8")


_REPLAY = """\
The pass in pipeline.txt turned before.onnx into after.onnx and changed its outputs on inputs-*.npz.
Replay it with

    lprc opt before.onnx --passes "$(cat pipeline.txt)" -o out.onnx \\
        --verify each --inputs inputs-0.npz
"""


def _is_reproducer(folder: Path) -> bool:
    return (folder / "replay.txt").is_file()


def _worst(runs: list[list[OutputDelta]]) -> list[OutputDelta]:
    """Each output's worst difference over several inputs."""
    worst: dict[str, OutputDelta] = {}
    for delta in (delta for run in runs for delta in run):
        known = worst.get(delta.name)
        if known is None or (delta.mismatch or "", delta.relative) > (
            known.mismatch or "",
            known.relative,
        ):
            worst[delta.name] = delta
    return list(worst.values())
