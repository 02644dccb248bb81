"""The graphs that a pipeline goes through, and those it would make with fewer rewrites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from lprc.core.instruments.progress import Progress
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager, PassRecord
from lprc.core.passing.pass_base import Pass, Rewrite
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Arrays

Key = tuple[str, str, int]
"""A rewrite: its node, the node's operator, and how many of that node were announced before it."""


@dataclass(frozen=True)
class Candidate:
    """A graph to judge.

    Attributes:
        model: The graph; nobody may change it.
        what: How it came about, for the log.
        passes: How many passes ran in full.
        records: What they did; one more if a pass ran in part.
        numbers: Of a pass that ran in part by `Prefixes.only`, the rewrites that it made.
    """

    model: ir.Model
    what: str
    passes: int
    records: tuple[PassRecord, ...]
    numbers: tuple[int, ...] = ()


class Only:
    """Allows the rewrites that have one of some keys; for one run of one pass.

    Attributes:
        allowed: The keys of those that it allowed, in order.
    """

    def __init__(self, wanted: Collection[Key]) -> None:
        self.allowed: list[Key] = []
        self._wanted = frozenset(wanted)
        self._seen: Counter[tuple[str, str]] = Counter()

    def __call__(self, rewrite: Rewrite) -> bool:
        """Whether to make this rewrite; refused ones count as announced."""
        place = (rewrite.node, rewrite.op_type)
        self._seen[place] += 1
        key = (*place, self._seen[place] - 1)
        if key not in self._wanted:
            return False
        self.allowed.append(key)
        return True


def keys_of(rewrites: Iterable[Rewrite]) -> list[Key]:
    """The key of each of a pass's rewrites, in order."""
    seen: Counter[tuple[str, str]] = Counter()
    keys = []
    for rewrite in rewrites:
        place = (rewrite.node, rewrite.op_type)
        keys.append((*place, seen[place]))
        seen[place] += 1
    return keys


class Prefixes:
    """Runs a pipeline once and keeps the graph after every pass; weights are shared, not copied.

    Args:
        source: The graph; it is not changed.
        pipeline: The passes.
        calibration: For data-driven passes.
        progress: Called with the passes done and their number.

    Raises:
        LprcError: A pass can't work on its graph.
    """

    def __init__(
        self,
        source: ir.Model,
        pipeline: Pipeline,
        calibration: Sequence[Arrays] = (),
        progress: Callable[[float, int], None] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.calibration = calibration
        keep = _Keep()
        watching = [keep] if progress is None else [keep, Progress(progress)]
        manager = PassManager(pipeline, watching, calibration=calibration)
        self.records = tuple(manager.run(source.clone()))
        self._models = keep.models

    def __len__(self) -> int:
        """The number of passes."""
        return len(self.records)

    def prefix(self, count: int) -> Candidate:
        """The graph after the first `count` passes."""
        what = "the source" if count == 0 else f"after pass {count} of {len(self)}"
        return Candidate(self._models[count], what, count, self.records[:count])

    def limited(self, position: int, limit: int) -> Candidate:
        """The graph after the passes before `position` and `limit` rewrites of the pass there.

        Raises:
            LprcError: The pass can't end there.
        """
        total = len(self.records[position].rewrites)
        what = f"after {limit} of {total} rewrites of pass {position + 1}"
        model = self._models[position].clone()
        manager = self._manager(position, rewrite_limits={0: limit})
        return self._candidate(model, what, position, manager)

    def only(self, position: int, numbers: Collection[int]) -> Candidate:
        """The same with some rewrites of the pass, numbered from 0 as in a full run of it.

        Raises:
            LprcError: The pass can't do those alone.
        """
        keys = keys_of(self.records[position].rewrites)
        what = f"only rewrites {_ranges(numbers)} of pass {position + 1}"
        model = self._models[position].clone()
        only = Only([keys[number] for number in numbers])
        manager = self._manager(position, rewrites_allowed={0: only})
        candidate = self._candidate(model, what, position, manager)
        allowed_keys = frozenset(only.allowed)
        return replace(
            candidate, numbers=tuple(n for n in sorted(numbers) if keys[n] in allowed_keys)
        )

    def _manager(self, position: int, **limits: object) -> PassManager:
        one = Pipeline((self.pipeline.passes[position],))
        return PassManager(one, calibration=self.calibration, **limits)  # type: ignore[arg-type]

    def _candidate(
        self, model: ir.Model, what: str, position: int, manager: PassManager
    ) -> Candidate:
        (record,) = manager.run(model)
        records = (*self.records[:position], replace(record, position=position))
        return Candidate(model, what, position, records)


def _ranges(numbers: Collection[int]) -> str:
    """Numbers from 0 as people write them from 1: ``1-37, 238``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0] + 1}" if len(run) == 1 else f"{run[0] + 1}-{run[-1] + 1}" for run in runs]
    return ", ".join(texts)


class _Keep(Instrument):
    """Keeps a copy of the graph after every pass that changed it."""

    def __init__(self) -> None:
        self.models: list[ir.Model] = []

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        self.models.append(model.clone())

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        self.models.append(model.clone() if record.changed else self.models[-1])
