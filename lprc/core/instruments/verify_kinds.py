"""Exact passes judged on inputs of other kinds, from one graph that is no exact pass's to another.

After every single pass this would cost more than the pass; over a stretch of exact passes it costs
two loads and a few runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph.subgraphs import values_read
from lprc.core.instruments.verify_runs import accepts, batch_of, only
from lprc.core.passing.manager import PassRecord
from lprc.core.running.input_families import families, is_float
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.noise import moved_beyond
from lprc.core.running.numerics import Arrays, OutputDelta, RunError, dynamic_step, rounding


@dataclass(frozen=True)
class BrokenOnKind:
    """What exact passes did together.

    Attributes:
        records: The passes.
        kind: Of the inputs, in words.
        inputs: On which outputs moved.
        deltas: How far.
        before: The graph in front of them.
    """

    records: list[PassRecord]
    kind: str
    inputs: Arrays
    deltas: list[OutputDelta]
    before: bytes | Path


class InputKinds:
    """One stretch of exact passes after another.

    Args:
        seed: Of the inputs.

    Attributes:
        before: The graph in front of the stretch, as it is stored.
        records: The passes that changed it since.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.before: bytes | Path | None = None
        self._inputs: Arrays = {}
        self._rounding = 0.0
        self.records: list[PassRecord] = []

    def begin(self, model: ir.Model, before: bytes | Path, inputs: Arrays) -> None:
        """Begin a stretch with a graph, also as it is stored, and a set of inputs that it takes."""
        self.before, self._rounding = before, rounding(model)
        # One sample tells as much as a batch, if the graph takes it.
        sample = {name: array[:1] if np.ndim(array) else array for name, array in inputs.items()}
        whole = batch_of(inputs) is None or not accepts(model, sample)
        self._inputs = inputs if whole else sample
        self.records = []

    def add(self, record: PassRecord) -> None:
        """A pass changed the graph."""
        self.records.append(record)

    def check(self, model: ir.Model, after: bytes | Path) -> BrokenOnKind | None:
        """End the stretch; what its passes broke together, or None.

        Kinds on which the first graph does not run, or puts out anything but finite numbers, judge
        nothing: what is exact there is not promised.
        """
        records, before = self.records, self.before
        self.records = []
        batch = {record.contract.batch for record in records} - {None}
        inputs_fit = accepts(model, self._inputs) and batch <= {batch_of(self._inputs)}
        if not records or before is None or not inputs_fit:
            return None
        # Each may use up what it was promised.
        tolerance = sum(record.contract.tolerance for record in records)
        tolerance = max(tolerance, self._rounding, rounding(model), dynamic_step(model))
        first, last = IsolatedSession(before), IsolatedSession(after)
        for kind, inputs in families(self._inputs, self._seed):
            wanted = _finite_outputs(first, inputs)
            if wanted is None:
                continue
            bad = moved_beyond(
                wanted,
                last.run(inputs),
                tolerance,
                reference=lambda: first,
                inputs=inputs,
                rounding=max(self._rounding, rounding(model)),
            )
            if bad:
                return BrokenOnKind(records, kind, inputs, bad, before)
        return None


def _finite_outputs(session: IsolatedSession, inputs: Arrays) -> dict[str, Any] | None:
    try:
        outputs = session.run(inputs)
    except RunError:
        return None
    floats = filter(is_float, outputs.values())
    return outputs if all(np.isfinite(array).all() for array in floats) else None


def unjudged_outputs(
    model: ir.Model, session: IsolatedSession, inputs: Arrays, runs: Sequence[Arrays], seed: int
) -> list[str]:
    """Warnings of outputs that are one number everywhere, so that no rewrite could be seen there.

    A constant of the graph is none: then the number is all there is.

    Args:
        model: The graph.
        session: It, loaded.
        inputs: A set that it takes, of which other kinds are made where that is needed.
        runs: Its outputs on what it was run on.
        seed: Of the other kinds.
    """
    varying = outputs_of_inputs(model.graph)
    outputs = [only(run, varying) for run in runs]
    if not degenerate(outputs):
        return []
    for _, other in families(inputs, seed):
        try:
            outputs.append(only(session.run(other), varying))
        except RunError:
            continue
    return [
        f"output '{name}' was not judged: it is {number} everywhere, on all inputs"
        for name, number in degenerate(outputs).items()
    ]


def degenerate(runs: Sequence[Arrays]) -> dict[str, str]:
    """Outputs that are one number everywhere in all runs, with that number as text.

    No rewrite could be seen in them. Scalars, shapes and the like count where the runs agree.
    """
    constant = {}
    for name in runs[0] if runs else ():
        values = [run[name] for run in runs]
        if not all(map(is_float, values)):
            continue
        flat = np.concatenate([value.reshape(-1) for value in values])
        if flat.size > 1 and (np.isnan(flat).all() or (flat == flat[0]).all()):
            constant[name] = f"{flat[0]:g}"
    return constant


def outputs_of_inputs(graph: ir.Graph) -> set[str]:
    """The names of the outputs that some input of the graph reaches, through subgraphs too."""
    reached = {value for value in graph.inputs if not value.is_initializer()}
    for node in graph:
        if not reached.isdisjoint(values_read(node)):
            reached.update(node.outputs)
    return {str(value.name) for value in graph.outputs if value in reached}
