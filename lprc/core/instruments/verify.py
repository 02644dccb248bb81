"""Checks that each pass keeps its promise, by running the graph before and after."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from lprc.core.atomic import atomic_folder
from lprc.core.contract import Contract, exact
from lprc.core.errors import PromiseBrokenError
from lprc.core.instruments.base import Instrument
from lprc.core.manager import PassRecord
from lprc.core.model_io import PROTOBUF_LIMIT, load, save, to_bytes, weight_bytes
from lprc.core.numerics import Arrays, OutputDelta, RunError, Session, compare, rounding
from lprc.core.pass_base import Pass
from lprc.core.pipeline import Pipeline
from lprc.core.random_inputs import random_inputs

Mode = Literal["final", "each"]
Outputs = dict[int, dict[str, Any]]
"""What a graph puts out, by the number of the input set."""


@dataclass(frozen=True)
class _Reference:
    """A graph as it was, as bytes or as a file, and what it puts out.

    Attributes:
        data: The graph.
        outputs: None if it can't be run.
        rounding: The relative difference that its element types make unavoidable.
    """

    data: bytes | Path
    outputs: Outputs | None
    rounding: float = 0.0


class Verify(Instrument):
    """Runs graphs in ONNX Runtime and holds every pass to its contract.

    A promise for one batch size is judged at that batch size only. A lossy pass is not judged, and
    what it made is the next reference. So is the first graph that runs where the source does not.

    Args:
        mode: ``each`` checks after every pass that changed something, ``final`` once, under the
            loosest contract of those passes (and once more before every lossy pass).
        inputs: Real inputs by name; by default random ones from `seed`.
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
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Choose the inputs and run the source graph.

        Raises:
            NoInputsError: No inputs were given, and none can be made up for this graph.
        """
        batches = sorted({item.contract.batch for item in pipeline.passes if item.contract.batch})
        self._inputs = list(self._given or [random_inputs(model, seed=self._seed)])
        for batch in batches:
            if all(_batch(inputs) != batch for inputs in self._inputs):
                self._inputs += self._at_batch(model, batch)
        self._take_as_reference(model, "the source graph")

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """In ``final`` mode, check what the passes before a lossy one did.

        Raises:
            PromiseBrokenError: The outputs moved by more than the loosest contract allows.
        """
        if item.contract.kind == "lossy":
            self.finish(model, [])

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Check the pass, or remember it for the end.

        Raises:
            PromiseBrokenError: The outputs moved by more than the pass's contract allows.
        """
        if not record.changed:
            return
        if self._reference.outputs is None:
            self._take_as_reference(model, f"the graph after '{record.text}'")
        elif self.mode == "each" or record.contract.kind == "lossy":
            self._compare(model, [record])
        else:
            self._changed.append(record)

    def finish(self, model: ir.Model, records: list[PassRecord]) -> None:
        """In ``final`` mode, check the whole.

        Raises:
            PromiseBrokenError: The outputs moved by more than the loosest contract allows.
        """
        if self._changed and self._reference.outputs is not None:
            self._compare(model, self._changed)
        self._changed = []

    def _at_batch(self, model: ir.Model, batch: int) -> list[Arrays]:
        """Inputs of that batch size, if the graph takes such: rows of the given ones, or random."""
        if self._given is None:
            made: Arrays = random_inputs(model, seed=self._seed, batch=batch)
        else:
            made = {name: array[:batch] for name, array in self._given[0].items()}
        return [made] if _batch(made) == batch and _accepts(model, made) else []

    def _take_as_reference(self, model: ir.Model, what: str) -> None:
        data = self._store(model)
        had_none = bool(self.warnings)
        outputs: Outputs | None = None
        try:
            session, fitting = Session(data), self._fitting(model)
            outputs, again = _run(session, fitting), _run(session, fitting)
        except RunError as error:
            if not had_none:
                self.warnings.append(f"not verified: {what} does not run: {error.message}")
        else:
            if any(not delta.within(0.0) for delta in _deltas(outputs, again)):
                self.warnings.append(f"not verified: {what} puts out something else each time")
                outputs = None
            elif had_none:
                self.warnings.append(f"verified from {what} on")
        self._reference = _Reference(data, outputs, rounding(model))

    def _fitting(self, model: ir.Model) -> list[tuple[int, Arrays]]:
        """The numbered input sets that fit `model`; a new one where it fits none."""
        fitting = [pair for pair in enumerate(self._inputs) if _accepts(model, pair[1])]
        if fitting or not self._inputs:
            return fitting
        made: Arrays = random_inputs(model, seed=self._seed)
        if self._given is not None:
            # A batch of another size: real rows, repeated as often as need be.
            first = self._given[0]
            made = {
                name: np.resize(first[name], array.shape) if name in first else array
                for name, array in made.items()
            }
        self._inputs.append(made)
        return [(len(self._inputs) - 1, made)]

    def _compare(self, model: ir.Model, records: list[PassRecord]) -> None:
        """Judge `records` together and make `model` the next reference."""
        contract = _loosest([record.contract for record in records])
        data, fitting = self._store(model), self._fitting(model)
        before = self._before(fitting)
        try:
            after = _run(Session(data), fitting)
        except RunError as error:
            raise self._broken(data, records, error.message, next(iter(before), 0)) from error
        if contract.kind != "lossy":
            judged = {
                number: outputs
                for number, outputs in before.items()
                if contract.batch in (None, _batch(self._inputs[number]))
            }
            if judged:
                self._judge(data, records, contract, judged, after)
            else:
                self.warnings.append(_not_compared(records, contract))
        self.deltas.setdefault(records[-1].position, _deltas(before, after))
        self._reference = _Reference(data, after, max(self._reference.rounding, rounding(model)))

    def _before(self, fitting: list[tuple[int, Arrays]]) -> Outputs:
        """What the reference puts out for the input sets that fit both graphs."""
        known = self._reference.outputs or {}
        found = {number: known[number] for number, _ in fitting if number in known}
        if found:
            return found
        try:
            return _run(Session(self._reference.data), fitting)
        except RunError:
            return {}

    def _judge(
        self,
        data: bytes | Path,
        records: list[PassRecord],
        contract: Contract,
        before: Outputs,
        after: Outputs,
    ) -> None:
        tolerance = max(contract.tolerance, self._reference.rounding)
        self.deltas[records[-1].position] = _deltas(before, after)
        for number in before:
            deltas = compare(before[number], after[number])
            bad = [delta for delta in deltas if not delta.within(tolerance)]
            if bad:
                what = f"promised {contract}, but {'; '.join(map(str, bad[:3]))}"
                raise self._broken(data, records, what, number)

    def _broken(
        self, data: bytes | Path, records: list[PassRecord], what: str, number: int
    ) -> PromiseBrokenError:
        one = len(records) == 1
        culprit = f"pass '{records[0].text}'" if one else f"{len(records)} passes together"
        hints = [] if one else ["--verify each finds the pass"]
        if self._reproducer is not None:
            self._write_reproducer(self._reproducer, data, records, number)
            hints.append(f"both graphs and the inputs are in {self._reproducer}")
        return PromiseBrokenError(what, where=culprit, hint="; ".join(hints) or None)

    def _write_reproducer(
        self, folder: Path, after: bytes | Path, records: list[PassRecord], number: int
    ) -> None:
        with atomic_folder(folder, may_replace=_is_reproducer) as temporary:
            _write_model(self._reference.data, temporary / "before.onnx")
            _write_model(after, temporary / "after.onnx")
            text = ",".join(record.text for record in records)
            (temporary / "pipeline.txt").write_text(f"{text}\n", encoding="utf-8")
            # Arrays of objects (strings) would be pickled.
            plain: dict[str, Any] = {
                name: array.astype(str) if array.dtype == object else array
                for name, array in self._inputs[number].items()
            }
            np.savez(temporary / "inputs.npz", **plain)
            (temporary / "replay.txt").write_text(_REPLAY, encoding="utf-8")

    def _store(self, model: ir.Model) -> bytes | Path:
        """`model` as it is now: in memory, or in a scratch folder if it is larger than 2 GB."""
        if weight_bytes(model) <= PROTOBUF_LIMIT:
            return to_bytes(model)
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="lprc-verify-")
        # Two graphs are looked at at a time, so that two files do.
        path = Path(self._scratch.name) / "a.onnx"
        if path == self._reference.data:
            path = path.with_name("b.onnx")
        save(model, path)
        return path


_REPLAY = """\
The passes in pipeline.txt turned before.onnx into after.onnx and changed its outputs on inputs.npz.
Replay it here with

    lprc opt before.onnx --passes "$(cat pipeline.txt)" --verify each --inputs inputs.npz -o o.onnx
"""


def _is_reproducer(folder: Path) -> bool:
    return (folder / "replay.txt").is_file()


def _write_model(data: bytes | Path, path: Path) -> None:
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        save(load(data), path)


def _run(session: Session, inputs: Iterable[tuple[int, Arrays]]) -> Outputs:
    return {number: session.run(arrays) for number, arrays in inputs}


def _batch(inputs: Arrays) -> int | None:
    """The size of the first dimension of all inputs that have dimensions, if it is one size."""
    sizes = {array.shape[0] for array in inputs.values() if array.ndim}
    return sizes.pop() if len(sizes) == 1 else None


def _accepts(model: ir.Model, inputs: Arrays) -> bool:
    """Whether `inputs` have the shapes and types that the graph's inputs say."""
    return all(
        (value.shape is None or _matches(value.shape, inputs[value.name].shape))
        and _same_type(value, inputs[value.name])
        for value in model.graph.inputs
        if value.name is not None and value.name in inputs
    )


def _same_type(value: ir.Value, array: Any) -> bool:
    """Whether an array has the element type of a graph input; other kinds are not looked at."""
    if not isinstance(value.type, ir.TensorType) or not isinstance(array, np.ndarray):
        return True
    return (
        array.dtype == object
        or array.dtype.kind in "US"
        or value.dtype is None
        or (value.dtype.numpy() == array.dtype)
    )


def _matches(shape: ir.Shape, sizes: tuple[int, ...]) -> bool:
    return len(shape) == len(sizes) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(shape, sizes, strict=True)
    )


def _loosest(contracts: Sequence[Contract]) -> Contract:
    """The most that the contracts allow together, at the batch size that any of them asks for."""
    loosest = max(contracts, key=lambda contract: contract.tolerance, default=exact)
    batch = next((contract.batch for contract in contracts if contract.batch), None)
    return loosest if batch is None else replace(loosest, batch=batch)


def _not_compared(records: list[PassRecord], contract: Contract) -> str:
    names = ", ".join(record.text for record in records)
    if contract.batch is None:
        return f"not compared: the graphs before and after {names} take no common input"
    return f"not compared: {names} holds at batch {contract.batch}, which the graph does not take"


def _deltas(before: Outputs, after: Outputs) -> list[OutputDelta]:
    """Each output's worst difference over the input sets."""
    worst: dict[str, OutputDelta] = {}
    for delta in _each_delta(before, after):
        known = worst.get(delta.name)
        if known is None or _badness(delta) > _badness(known):
            worst[delta.name] = delta
    return list(worst.values())


def _each_delta(before: Outputs, after: Outputs) -> Iterator[OutputDelta]:
    for number in before:
        yield from compare(before[number], after[number])


def _badness(delta: OutputDelta) -> tuple[bool, float]:
    return delta.mismatch is not None, delta.relative
