"""Answers in the place of a network's outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.passing.translation import Sample, Translation
from lprc.core.running.numerics import Arrays
from lprc.passes._images.operators import Operators


@dataclass(frozen=True)
class Answer:
    """An answer, and how it takes the outputs' place.

    Attributes:
        build: Writes it behind `Operators` and outputs; gives the answer.
        apply: Makes the same of the outputs' arrays.
    """

    build: Callable[..., ir.Value]
    apply: Callable[..., NDArray[Any]]

    def attach(self, graph: ir.Graph, sources: Sequence[ir.Value], result: str) -> None:
        """Put the answer called `result` where the first of `sources` was, and drop the others."""
        producers = [node for value in sources if (node := value.producer()) is not None]
        answer = self.build(Operators(graph, str(sources[0].name), producers), *sources)
        replace_outputs(graph, sources, {result: answer})


def replace_outputs(
    graph: ir.Graph, sources: Sequence[ir.Value], answers: Mapping[str, ir.Value]
) -> None:
    """Put `answers`, by the names that they get, where the first of `sources` was.

    The other sources are outputs no more. Whatever else has such a name gets another.
    """
    outputs: list[ir.Value] = []
    for value in graph.outputs:
        if value is sources[0]:
            outputs += answers.values()
        elif value not in sources:
            outputs.append(value)
    graph.outputs[:] = outputs
    inner = [value for node in graph for value in node.outputs]
    for value in (*inner, *list(graph.initializers.values())):
        if value.name in answers:
            value.name = editing.fresh_name(graph, f"{value.name}_raw")
    for name, answer in answers.items():
        answer.name = name


@dataclass(frozen=True)
class AnswerTranslation(Translation):
    """Some outputs become one answer; inputs, and other outputs, stay.

    Attributes:
        sources: The outputs.
        result: What the answer is called.
        answer: How it is made.
    """

    sources: tuple[str, ...]
    result: str
    answer: Answer

    def outputs(self, outputs: Arrays, inputs: Arrays) -> Sample:
        """The answer, and what is not part of it."""
        made = self.answer.apply(*(np.asarray(outputs[name]) for name in self.sources))
        rest = {name: array for name, array in outputs.items() if name not in self.sources}
        return {**rest, self.result: made}
