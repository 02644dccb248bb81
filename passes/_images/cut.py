"""The two ends of a part of a graph: found by names, checked, and made its inputs and outputs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing, shapes, subgraphs
from lprc.core.graph.provenance import describe, origins
from lprc.core.onnx_io.model_io import to_proto
from lprc.core.passing.translation import Sample, Translation
from lprc.core.running.numerics import Arrays
from lprc.core.running.observe import Observer


@dataclass(frozen=True)
class Cut:
    """Where a part of a graph begins and ends.

    Attributes:
        inputs: Of the part; types and shapes are known.
        outputs: Of the part; types are known.
    """

    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]

    @classmethod
    def of(cls, model: ir.Model, inputs: Sequence[str], outputs: Sequence[str]) -> Cut:
        """Find the ends, and write down what is known of them.

        Raises:
            UsageError: As of `lprc.passes.extract.Extract.run`.
        """
        graph = model.graph
        begins = [_begin(graph, name) for name in inputs]
        ends = [_end(graph, name) for name in outputs] or list(graph.outputs)
        _infer(model, [*begins, *ends])
        needed = _needed(set(begins), ends)
        fed = [value for value in graph.inputs if not value.is_initializer()]
        if not inputs:
            begins = [value for value in fed if value in needed]
        cut = cls(tuple(dict.fromkeys(begins)), tuple(dict.fromkeys(ends)))
        cut._check([value for value in fed if value in needed and value not in begins], needed)
        return cut

    def is_whole(self, graph: ir.Graph) -> bool:
        """Whether nothing is cut off."""
        fed = [value for value in graph.inputs if not value.is_initializer()]
        return list(self.inputs) == fed and list(self.outputs) == list(graph.outputs)

    def apply(self, graph: ir.Graph) -> None:
        """Make the part all that there is."""
        graph.outputs[:] = self.outputs
        begins = [
            value if value.is_graph_input() else _as_input(graph, value) for value in self.inputs
        ]
        defaults = [value for value in graph.inputs if value.is_initializer()]
        for node in reversed(graph):
            if not any(value.uses() or value.is_graph_output() for value in node.outputs):
                subgraphs.release_captured(node)
                graph.remove(node, safe=True)
        graph.inputs[:] = [*begins, *(value for value in defaults if value.uses())]
        for value in list(graph.initializers.values()):
            editing.remove_dead_initializer(value)

    def _check(self, missing: list[ir.Value], needed: set[ir.Value]) -> None:
        for value in self.outputs:
            if value in self.inputs or value.producer() is None:
                raise _refused(f"'{value.name}' is computed by no node of the part", "outputs")
        for value in self.inputs:
            if value not in needed:
                names = ", ".join(f"'{output.name}'" for output in self.outputs)
                raise _refused(
                    f"no output ({names}) needs '{value.name}'", "inputs", "leave it out"
                )
        if missing:
            name = missing[0].name
            raise _refused(
                f"the outputs need input '{name}' besides",
                "inputs",
                f"add {name}, or cut behind it",
            )


def _refused(message: str, option: str, hint: str | None = None) -> UsageError:
    return UsageError(message, where=f"extract{{{option}}}", hint=hint, option=option)


def _as_input(graph: ir.Graph, value: ir.Value) -> ir.Value:
    """A value in the place of `value` that nothing computes; `value` gives its name up."""
    new = ir.Value(name=value.name, shape=value.shape, type=value.type)
    value.name = editing.fresh_name(graph, f"{value.name}_cut_off")
    ir.convenience.replace_all_uses_with(value, new)
    return new


def _begin(graph: ir.Graph, name: str) -> ir.Value:
    value = _tensor(graph, name)
    if value is not None:
        return value
    node = _node(graph, name, "inputs")
    read = [each for each in node.inputs if each is not None and editing.constant(each) is None]
    if not read:
        raise _refused(f"{describe(node)} reads no tensor that is not constant", "inputs")
    return read[0]


def _end(graph: ir.Graph, name: str) -> ir.Value:
    value = _tensor(graph, name)
    return _node(graph, name, "outputs").outputs[0] if value is None else value


def _tensor(graph: ir.Graph, name: str) -> ir.Value | None:
    values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
    return next((value for value in values if value.name == name), None)


def _node(graph: ir.Graph, name: str, option: str) -> ir.Node:
    """The last node of that name, or the last that comes from a source node of that name."""
    named = [node for node in graph if node.name == name]
    named = named or [node for node in graph if name in origins(node)]
    if named:
        return named[-1]
    close = difflib.get_close_matches(name, sorted(_names(graph)), n=1)
    guess = f"did you mean '{close[0]}'?" if close else "`lprc opt -v` shows the names"
    raise _refused(f"no tensor and no node is called '{name}'", option, guess)


def _names(graph: ir.Graph) -> set[str]:
    """What tensors and nodes are called."""
    names = {value.name for node in graph for value in node.outputs}
    names.update(name for node in graph for name in (node.name, *origins(node)))
    return {name for name in names if name}


def _infer(model: ir.Model, values: Iterable[ir.Value]) -> None:
    """Write down the types and shapes of `values`.

    Raises:
        UsageError: They can't be found.
    """
    unknown = [value for value in values if value.type is None or value.shape is None]
    inferred = shapes.infer(model) if unknown else {}
    for value in unknown:
        if value.name in inferred:
            shapes.refine(value, inferred[value.name])
        if value.type is None or value.shape is None:
            raise UsageError(
                f"the type and shape of '{value.name}' are not known",
                where="pass 'extract'",
                hint="give the inputs sizes with set-input-shape in front, or cut elsewhere",
            )


def _needed(begins: set[ir.Value], ends: Iterable[ir.Value]) -> set[ir.Value]:
    """All values that `ends` are computed from, up to `begins`."""
    needed: set[ir.Value] = set()
    pending = list(ends)
    while pending:
        value = pending.pop()
        if value in needed:
            continue
        needed.add(value)
        node = value.producer()
        if value in begins or node is None:
            continue
        pending += subgraphs.values_read(node)
    return needed


class CutTranslation(Translation):
    """The graph in front of the cut, which computes what flows through it.

    Args:
        model: A copy.
        begins: The tensors that are inputs then, by name.
        ends: Those that are outputs.
    """

    def __init__(self, model: ir.Model, begins: Sequence[str], ends: Sequence[str]) -> None:
        self._model = model
        self._fed = {str(value.name) for value in model.graph.inputs if not value.is_initializer()}
        self._begins, self._ends = tuple(begins), tuple(ends)

    def inputs(self, inputs: Arrays) -> Sample:
        """What the part takes, computed from the whole graph's inputs."""
        return self._at_begins.run(inputs)

    def restored(self, inputs: Arrays) -> Sample | None:
        """The whole graph's inputs: known where the part takes the same."""
        return dict(inputs) if self._fed == set(self._begins) else None

    def outputs(self, outputs: Arrays, inputs: Arrays) -> Sample:
        """What is computed at the other end."""
        if set(self._ends) <= set(outputs):
            return {name: outputs[name] for name in self._ends}
        return self._at_ends.run(inputs)

    @cached_property
    def _at_begins(self) -> Observer:
        return Observer(to_proto(self._model), self._begins)

    @cached_property
    def _at_ends(self) -> Observer:
        return Observer(to_proto(self._model), self._ends)
