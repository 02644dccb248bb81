"""A detector's outputs as boxes and scores: the operators, and what they mean in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.translation import Sample, Translation
from lprc.core.running.numerics import Arrays, Session
from lprc.core.tasks.arrangement import Arrangement
from lprc.passes._images.box_form import BoxForm
from lprc.passes._images.operators import Operators
from lprc.passes._images.places import arranged
from lprc.passes._images.score_form import ScoreForm, section

Part = Literal["boxes", "scores", "objectness"]

ROLES: tuple[Part, ...] = ("boxes", "scores", "objectness")

RESULTS = ("boxes", "scores")
"""What the outputs are called then: float32 [N, places, 4] and [N, places, classes]."""


@dataclass(frozen=True)
class Level:
    """One output of the network.

    Attributes:
        value: The output.
        arrangement: How it becomes a table.
    """

    value: ir.Value
    arrangement: Arrangement


@dataclass(frozen=True)
class BoxDecoding:
    """Which outputs hold what, and what the numbers mean.

    Attributes:
        row: What stands behind one another in a place of the outputs of boxes.
        levels: The outputs by what they hold, the finest level first.
        boxes: What the numbers of boxes mean.
        scores: What those of scores mean.
    """

    row: tuple[Part, ...]
    levels: dict[Part, tuple[Level, ...]]
    boxes: BoxForm
    scores: ScoreForm

    @property
    def sources(self) -> tuple[ir.Value, ...]:
        """All these outputs."""
        return tuple(level.value for role in ROLES for level in self.levels[role])

    def build(self, tail: Operators, sources: Sequence[ir.Value]) -> dict[str, ir.Value]:
        """Write the operators behind `sources`, values of the form of its own; `RESULTS`."""
        given = iter(sources)
        tables: dict[Part, ir.Value] = {}
        for role in ROLES:
            levels = [
                arranged(level.arrangement, tail, next(given), f"{role}{index}")
                for index, level in enumerate(self.levels[role])
            ]
            if levels:
                tables[role] = _joined(tail, levels, role)
        tables |= self._columns(tail, tables["boxes"])
        boxes = self.boxes.build(tail, tables["boxes"])
        scores = self.scores.build(tail, tables["scores"], tables.get("objectness"))
        # An output can't be another one's very value, nor the network's own under a second name.
        return {
            name: tail.add("Identity", [value], f"decoded_{name}", value.shape)
            if value in sources
            else value
            for name, value in zip(RESULTS, (boxes, scores), strict=True)
        }

    def _columns(self, tail: Operators, table: ir.Value) -> dict[Part, ir.Value]:
        """What stands in one row, apart."""
        if len(self.row) == 1:
            return {}
        columns: dict[Part, ir.Value] = {}
        start = 0
        for part in self.row:
            end = start + channels_of(part, self.boxes, self.scores)
            columns[part] = section(tail, table, f"{part}_columns", start, end)
            start = end
        return columns


def channels_of(part: Part, boxes: BoxForm, scores: ScoreForm) -> int:
    """How many numbers of a place are of that part."""
    return {"boxes": boxes.channels, "scores": scores.channels, "objectness": 1}[part]


def _joined(tail: Operators, levels: Sequence[ir.Value], role: str) -> ir.Value:
    if len(levels) == 1:
        return levels[0]
    first = levels[0].shape
    assert first is not None
    places = sum(editing.dimension(level, 1) or 0 for level in levels)
    shape = [first[0], places, first[2]]
    return tail.add("Concat", levels, f"{role}_of_levels", shape, attributes={"axis": 1})


class DecodingTranslation(Translation):
    """Raw outputs become boxes and scores; inputs stay.

    The arithmetic is that of the operators alone, in a graph of their own.

    Args:
        decoding: What the outputs mean.
        dropped: Outputs that are none any more.
        opset: The operator set.
    """

    def __init__(self, decoding: BoxDecoding, dropped: Sequence[str], opset: int) -> None:
        self._sources = [str(value.name) for value in decoding.sources]
        self._dropped = {*self._sources, *dropped}
        self._model = _alone(decoding, opset)

    def outputs(self, outputs: Arrays, inputs: Arrays) -> Sample:
        """The decoded boxes and scores, and what is not part of them."""
        rest = {name: array for name, array in outputs.items() if name not in self._dropped}
        numbers = {f"raw{index}": outputs[name] for index, name in enumerate(self._sources)}
        return {**rest, **Session(self._model).run(numbers)}


def _alone(decoding: BoxDecoding, opset: int) -> ir.Model:
    """The decoding by itself, of inputs called ``raw0``, ``raw1`` …"""
    inputs = [
        ir.Value(name=f"raw{index}", type=value.type, shape=value.shape)
        for index, value in enumerate(decoding.sources)
    ]
    graph = ir.Graph(inputs, [], nodes=[], opset_imports={"": opset}, name="decoding")
    results = decoding.build(Operators(graph, "raw", []), inputs)
    for name, value in results.items():
        value.name = name
        graph.outputs.append(value)
    return ir.Model(graph, ir_version=9)
