"""The two sides of a window as models, run in ONNX Runtime on the same inputs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.passing.contract import EXACT_TOLERANCE
from lprc.core.proof.numbering import Numbering
from lprc.core.proof.verdict import Counterexample
from lprc.core.proof.window import Window
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.numerics import Arrays, RunError, compare

TRIES = 3
"""Random inputs to run besides the one that Z3 names."""


def counterexample(
    window: Window,
    numbering: Numbering,
    before: ir.Value,
    after: ir.Value,
    values: dict[int, Fraction],
) -> Counterexample | None:
    """Inputs on which a value of the graph before differs from one of the graph after.

    Args:
        window: Between the values and what both graphs have; evaluated.
        numbering: Of both graphs.
        before: One value.
        after: The other.
        values: What Z3 gives variables; all others are 0.

    Returns:
        None where ONNX Runtime shows no difference on that, nor on random inputs.
    """
    try:
        sessions = [
            IsolatedSession(_side(window, numbering, value, model))
            for value, model in ((before, numbering.before), (after, numbering.after))
        ]
    except RunError:
        return None
    for inputs in _inputs(window, values):
        difference = _difference(sessions, inputs)
        if difference is not None:
            names = {f"v{n}": numbering.members[n].name or f"v{n}" for n in window.boundary}
            return Counterexample({names[key]: inputs[key] for key in inputs}, difference)
    return None


def _difference(sessions: list[IsolatedSession], inputs: Arrays) -> str | None:
    try:
        left, right = (
            session.run({name: inputs[name] for name in session.input_names})
            for session in sessions
        )
    except RunError:
        return None
    far = [delta for delta in compare(left, right) if not delta.within(EXACT_TOLERANCE)]
    return str(far[0]) if far else None


def _inputs(window: Window, values: dict[int, Fraction]) -> Iterator[dict[str, NDArray[Any]]]:
    if values:
        yield {
            f"v{number}": _cast(
                np.array(
                    [float(values.get(variable, 0)) for variable in tensor.ids.reshape(-1).tolist()]
                ),
                tensor.ids.shape,
                tensor.dtype,
            )
            for number, tensor in window.boundary.items()
        }
    for seed in range(TRIES):
        generator = np.random.default_rng(seed)
        yield {
            f"v{number}": _cast(
                3 * generator.standard_normal(tensor.ids.size), tensor.ids.shape, tensor.dtype
            )
            for number, tensor in window.boundary.items()
        }


def _cast(
    numbers: NDArray[np.float64], shape: tuple[int, ...], dtype: ir.DataType | None
) -> NDArray[Any]:
    kind = np.dtype(np.float32) if dtype is None else dtype.numpy()
    whole = np.round(numbers) if kind.kind in "iub" else numbers
    return whole.astype(kind).reshape(shape)


def _side(window: Window, numbering: Numbering, value: ir.Value, model: ir.Model) -> ir.Model:
    """The nodes between the window's inputs and `value`, as a model of its own."""
    side = _Side(window, numbering)
    output = side.copy(value)
    if output.producer() is None:  # a graph may not put out its input
        output = side.identity(output)
    output.name = "result"
    graph = ir.Graph(
        list(side.inputs.values()),
        [output],
        nodes=side.nodes,
        initializers=side.constants,
        opset_imports=dict(model.graph.opset_imports),
        name="window",
    )
    return ir.Model(graph, ir_version=model.ir_version or 10)


class _Side:
    def __init__(self, window: Window, numbering: Numbering) -> None:
        self.inputs: dict[int, ir.Value] = {}
        self.constants: list[ir.Value] = []
        self.nodes: list[ir.Node] = []
        self._window, self._numbering = window, numbering
        self._copies: dict[int, ir.Value] = {}

    def identity(self, value: ir.Value) -> ir.Value:
        node = ir.node("Identity", [value], name="identity")
        node.outputs[0].type = value.type
        self.nodes.append(node)
        return node.outputs[0]

    def copy(self, value: ir.Value) -> ir.Value:
        """A copy of a value, and of what it is made of."""
        number = self._numbering.number(value)
        if number not in self._copies:
            self._copies[number] = self._copied(value, number)
        return self._copies[number]

    def _copied(self, value: ir.Value, number: int) -> ir.Value:
        array = editing.constant(value)
        if array is not None:
            tensor = ir.Tensor(array, name=f"c{number}")
            constant = ir.Value(
                name=f"c{number}",
                shape=ir.Shape(array.shape),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
            self.constants.append(constant)
            return constant
        boundary = self._window.boundary.get(number)
        if boundary is not None:
            self.inputs[number] = ir.Value(
                name=f"v{number}",
                shape=ir.Shape(boundary.ids.shape),
                type=ir.TensorType(boundary.dtype or ir.DataType.FLOAT),
            )
            return self.inputs[number]
        member = self._numbering.members[number]
        node = member.producer()
        assert node is not None
        inputs = [None if used is None else self.copy(used) for used in node.inputs]
        copy = ir.node(
            node.op_type,
            inputs,
            dict(node.attributes),
            domain=node.domain,
            num_outputs=len(node.outputs),
            name=f"n{number}",
        )
        for place, output in enumerate(copy.outputs):
            own = self._numbering.number(node.outputs[place])
            output.name = f"t{own}"
            output.type = node.outputs[place].type
            self._copies[own] = output
        self.nodes.append(copy)
        return self._copies[number]
