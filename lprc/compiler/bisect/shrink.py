"""The fewest nodes on which a pass still goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import onnx_ir as ir

from lprc.compiler.bisect.cut import Capture, cut, neighbours, owners, values_around
from lprc.compiler.bisect.prefixes import Key, Only
from lprc.core.errors import LprcError
from lprc.core.graph.provenance import origins
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, Rewrite
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.noise import moved_beyond
from lprc.core.running.numerics import Arrays, OutputDelta, RunError, Session, rounding

CALIBRATION_SAMPLES = 16
"""Samples that a reproducer of a data-driven pass carries at most."""

MOST_NODES = 2000
"""Values of so many nodes are held in memory at most."""

TRIALS = 400
"""Graphs that are tried at most."""

COMMAND_TRIALS = 60
"""The same where the user's command judges each, twice."""


@dataclass(frozen=True)
class Suspect:
    """Passes, or a few rewrites of one, that break a graph.

    Attributes:
        model: The graph in front of them; it is not changed.
        passes: The passes.
        rewrites: Of one pass, those that do it; none stands for all.
        keys: Their keys.
        calibration: For data-driven passes.
        tolerance: What the passes promise of outputs; None where they promise nothing.
    """

    model: ir.Model
    passes: tuple[Pass, ...]
    rewrites: tuple[Rewrite, ...]
    keys: tuple[Key, ...]
    calibration: Sequence[Arrays]
    tolerance: float | None

    @property
    def reads_calibration(self) -> bool:
        """Whether the passes are data-driven."""
        return any(item.reads_calibration for item in self.passes)


@dataclass(frozen=True)
class Reduced:
    """A graph on which passes go wrong.

    Attributes:
        model: The graph in front of them.
        inputs: What to run it on; empty where nothing could be run.
        calibration: Samples for data-driven passes.
        nodes: How many nodes the main graph has.
        of: How many it had before.
        why: Why it could not be cut; None where it was.
        by_outputs: Whether outputs show it; else only the condition of the search does.
    """

    model: ir.Model
    inputs: Arrays
    calibration: Sequence[Arrays]
    nodes: int
    of: int
    why: str | None
    by_outputs: bool


def rewritten(
    model: ir.Model, passes: tuple[Pass, ...], keys: Collection[Key], calibration: Sequence[Arrays]
) -> ir.Model:
    """A copy of `model` after the passes; of the last one only the rewrites `keys`, if any.

    Raises:
        LprcError: A pass can't work on it.
    """
    copy = model.clone()
    allowed = {len(passes) - 1: Only(keys)} if keys else None
    PassManager(Pipeline(passes), calibration=calibration, rewrites_allowed=allowed).run(copy)
    return copy


def broken_outputs(
    before: ir.Model, after: ir.Model, inputs: Arrays, tolerance: float
) -> list[OutputDelta]:
    """The outputs of `before` that moved by more than they may, as `Verify` judges them.

    Raises:
        RunError: One of the two does not run.
    """
    reference = Session(before)
    unit = rounding(before)
    return moved_beyond(
        reference.run(inputs),
        Session(after).run(inputs),
        max(tolerance, unit),
        reference=lambda: reference,
        inputs=inputs,
        rounding=unit,
    )


def shrink(
    suspect: Suspect,
    inputs: Sequence[Arrays],
    judge: Callable[[ir.Model, ir.Model], bool] | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Reduced:
    """Cut the graph around the rewritten nodes as small as still goes wrong.

    "Wrong" is that the outputs of the cut, run on the values that its inputs have in the whole
    graph, move by more than the passes promise. Where the whole graph's do not, or nothing is
    promised, it is what `judge` says; without one the whole graph is kept.

    The graph grows around the rewritten nodes until it goes wrong, and nodes are then left out by
    delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input",
    TSE 2002).

    Args:
        suspect: What goes wrong.
        inputs: Sets of inputs of the whole graph, to choose one from.
        judge: Whether the first graph is good and the second bad.
        progress: Called with the graphs tried and their largest number.
    """
    nodes = len(suspect.model.graph)
    chosen, why = _telling(suspect, inputs)
    if chosen is None and judge is None:
        first = next(iter(inputs), {})
        return Reduced(suspect.model, first, suspect.calibration, nodes, nodes, why, False)
    by_outputs = chosen is not None
    arrays = next(iter(inputs), {}) if chosen is None else chosen
    search = _Search(suspect, arrays, None if by_outputs else judge, progress)
    smallest = search.run()
    if smallest is None:
        why = "no part of it goes wrong alone"
        return Reduced(suspect.model, arrays, suspect.calibration, nodes, nodes, why, by_outputs)
    part, fed, samples = smallest
    return Reduced(part, fed, samples, len(part.graph), nodes, None, by_outputs)


def _telling(suspect: Suspect, inputs: Sequence[Arrays]) -> tuple[Arrays | None, str]:
    """The first inputs on which the whole graph's outputs move too far, or why there are none."""
    if suspect.tolerance is None:
        return None, "the pass is lossy and promises nothing about outputs"
    why = "its outputs stay within what the pass promises"
    after = rewritten(suspect.model, suspect.passes, suspect.keys, suspect.calibration)
    for arrays in inputs:
        try:
            if broken_outputs(suspect.model, after, arrays, suspect.tolerance):
                return arrays, ""
        except RunError as error:
            why = error.message
    return None, why


@dataclass
class _Search:
    suspect: Suspect
    arrays: Arrays
    judge: Callable[[ir.Model, ir.Model], bool] | None
    progress: Callable[[float, int], None] | None
    tried: int = 0
    captured: Arrays = field(default_factory=dict)
    base: ir.Model = field(init=False)

    def __post_init__(self) -> None:
        self.base = self.suspect.model

    def run(self) -> tuple[ir.Model, Arrays, Sequence[Arrays]] | None:
        """The smallest graph found, its inputs and its calibration samples."""
        grown = next((part for part in self._growing() if self._is_wrong(part)), None)
        if grown is None:
            return None
        base = self._part(grown)
        assert base is not None
        self.base = base  # smaller, and so faster to cut from
        part = self._part(_minimise(list(range(len(base.graph))), self._is_wrong))
        assert part is not None
        return part, self._fed(part), self._samples(part)

    def _growing(self) -> Iterator[frozenset[int]]:
        """The rewritten nodes, with more and more of what is around them."""
        around = neighbours(self.suspect.model)
        inside, rings = set(self._seeds()), 0
        while inside and len(inside) <= MOST_NODES:
            self._capture(inside)
            yield frozenset(inside)
            if len(inside) == len(around):
                return
            size = len(inside)
            for _ in range(max(1, rings)):
                inside |= {other for index in inside for other in around[index]}
            rings = max(1, 2 * rings)
            if len(inside) == size:
                return

    def _seeds(self) -> set[int]:
        """The rewritten nodes; all where the graph as a whole was rewritten."""
        graph = self.suspect.model.graph
        names = {rewrite.node for rewrite in self.suspect.rewrites}
        if not names or "" in names:
            return set(range(len(graph)))
        owner = owners(self.suspect.model)
        nodes = list(self.suspect.model.graph.all_nodes())
        rewritten = {owner[id(node)] for node in nodes if node.name in names}
        if rewritten:
            return rewritten
        # The pass had made the node itself.
        sources = {name for rewrite in self.suspect.rewrites for name in rewrite.origins}
        return {owner[id(node)] for node in nodes if sources & set(origins(node))}

    def _capture(self, inside: Collection[int]) -> None:
        names = values_around(self.suspect.model, inside)
        try:
            self.captured = Capture(self.suspect.model, names).run(self.arrays)
        except RunError:
            self.captured = {}  # types may be known without

    def _part(self, keep: Collection[int]) -> ir.Model | None:
        return cut(self.base, frozenset(keep), self.captured)

    def _is_wrong(self, keep: Collection[int]) -> bool:
        """Whether the passes still go wrong on those nodes; not if too many were tried."""
        most = TRIALS if self.judge is None else COMMAND_TRIALS
        if self.tried >= most:
            return False
        self.tried += 1
        if self.progress is not None:
            self.progress(self.tried, most)
        before = self._part(keep)
        if before is None:
            return False
        try:
            after = rewritten(before, self.suspect.passes, self.suspect.keys, self._samples(before))
            if self.judge is not None:
                return self.judge(before, after)
            assert self.suspect.tolerance is not None
            return bool(broken_outputs(before, after, self._fed(before), self.suspect.tolerance))
        except LprcError:
            return False

    def _fed(self, part: ir.Model) -> Arrays:
        return {name: self.captured[name] for name in _fed_names(part) if name in self.captured}

    def _samples(self, part: ir.Model) -> Sequence[Arrays]:
        """What the inputs of a part are on the calibration samples."""
        if not self.suspect.reads_calibration or not self.suspect.calibration:
            return ()
        capture = Capture(self.suspect.model, _fed_names(part))
        return _Inner(capture, self.suspect.calibration)


def _fed_names(model: ir.Model) -> list[str]:
    return [value.name or "" for value in model.graph.inputs if not value.is_initializer()]


class _Inner(Sequence[Arrays]):
    """The values inside a graph on the first few of its samples, run when they are looked at."""

    def __init__(self, capture: Capture, samples: Sequence[Arrays]) -> None:
        self._capture = capture
        self._samples = samples

    def __len__(self) -> int:
        return min(len(self._samples), CALIBRATION_SAMPLES)

    @overload
    def __getitem__(self, index: int) -> Arrays: ...
    @overload
    def __getitem__(self, index: slice) -> list[Arrays]: ...
    def __getitem__(self, index: int | slice) -> Arrays | list[Arrays]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._capture.run(self._samples[index % len(self)])


def _minimise(items: list[int], is_wrong: Callable[[list[int]], bool]) -> list[int]:
    """Leave out halves, then quarters, down to single items, for as long as it stays wrong."""
    size = max(1, len(items) // 2)
    while True:
        before = len(items)
        for start in reversed(range(0, len(items), size)):
            fewer = items[:start] + items[start + size :]
            if fewer and is_wrong(fewer):
                items = fewer
        if size == 1 and len(items) == before:
            return items
        size = max(1, min(size // 2, len(items) // 2)) if len(items) == before else size
