"""Where channels can be scaled: back from their reader, through homogeneous operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.normalization import is_training_normalization
from lprc.core.graph.operators import LINEAR
from lprc.core.passing import precision
from lprc.passes._scaling import linear_layers
from lprc.passes._scaling.homogeneous import Step, before
from lprc.passes._scaling.linear_inputs import (
    axes_behind_channels,
    why_not_scalable,
)
from lprc.passes._scaling.linear_layers import Linear

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Scaled:
    """A constant input that takes part in the scaling.

    Attributes:
        node: Its user.
        position: Which of its inputs.
        step: The user's output, with the channels of the constant where it must have them.
        divides: Whether the user divides by it.
    """

    node: ir.Node
    position: int
    step: Step
    divides: bool = False


@dataclass(frozen=True)
class Source:
    """An operator whose constants scale the channels that a reader sees.

    Attributes:
        node: The linear operator, normalisation, or product with a constant.
        steps: The values whose channels are scaled, from the reader's input to the node's output.
        constants: The constants to scale besides the weight of a linear operator.
        is_linear: Whether it is a linear operator, whose weight and bias are scaled.
    """

    node: ir.Node
    steps: tuple[Step, ...]
    constants: tuple[Scaled, ...]
    is_linear: bool = False

    @property
    def linear(self) -> Linear:
        """The linear operator with the weight and bias that it has now."""
        last = self.steps[-1]
        found = linear_layers.of_output(last.value, last.channels)
        assert isinstance(found, Linear)
        return found

    def why_not(self, of_reader: Float) -> str | None:
        """Why the channels can't be divided by these factors; None where they can."""
        own = self._own(of_reader)
        for constant in self.constants:
            losses = precision.lost(_scaled(constant, own), _array(constant).dtype)
            if losses.any():
                return precision.OVERFLOWS if np.isinf(losses).any() else precision.UNDERFLOWS
        divided = self._divided(own) if self.is_linear else None
        return divided if isinstance(divided, str) else None

    def divide(self, of_reader: Float) -> None:
        """Divide the channels, in the source and in the constants behind it; see `why_not`."""
        own = self._own(of_reader)
        for constant in self.constants:
            _scale(constant, own)
        if self.is_linear:
            divided = self._divided(own)
            assert isinstance(divided, Linear)
            linear_layers.store(divided, sources=[])

    def _divided(self, own: Float) -> Linear | str:
        factor = 1.0 / self.steps[-1].factor(own)
        return linear_layers.outputs_scaled(
            self.linear, linear_layers.Affine(factor, np.zeros_like(factor))
        )

    def _own(self, of_reader: Float) -> Float:
        # Constants behind a Concat belong to the sources of all its operands.
        return np.where(self.steps[-1].index < 0, 1.0, of_reader)


@dataclass(frozen=True)
class Blocked:
    """Where the way back ends without a source.

    Attributes:
        node: The operator it ends at; None for an input of the graph.
        reason: Why.
    """

    node: ir.Node | None
    reason: str


@dataclass
class _Trail:
    steps: list[Step]
    constants: list[Scaled] = field(default_factory=list)

    def end(self, node: ir.Node, step: Step, *positions: int, divides: bool = False) -> Source:
        last = [Scaled(node, position, step, divides) for position in positions]
        return Source(node, tuple(self.steps), (*self.constants, *last))


def sources(
    value: ir.Value, behind: int, channels: int, *, shared: bool = False
) -> Iterator[Source | Blocked]:
    """Where the channels of `value` come from: one place, or several where a Concat joins them.

    Args:
        value: The input of a linear operator.
        behind: How many of its axes lie behind that of the channels.
        channels: How many channels it has.
        shared: Whether `value` itself may have several users.
    """
    pending = [_Trail([Step(value, behind, channels, np.arange(channels))])]
    while pending:
        trail = pending.pop()
        followed = _follow(trail, shared=shared)
        if isinstance(followed, list):
            pending += reversed(followed)
        else:
            yield followed


def _follow(trail: _Trail, *, shared: bool) -> Source | Blocked | list[_Trail]:
    while True:
        step = trail.steps[-1]
        node = step.value.producer()
        if node is None:
            return Blocked(None, "an input of the graph")
        if not (shared and len(trail.steps) == 1) and not editing.is_private(step.value):
            return Blocked(node, f"the output of {node.op_type} has other users")
        if node.outputs[0] is not step.value:
            return Blocked(node, f"not the first output of {node.op_type}")
        if editing.is_op(node, "Concat"):
            return _operands(node, trail)
        source = _source(node, trail)
        if source is not None:
            return source
        moved = _before(node, trail)
        if isinstance(moved, str):
            return Blocked(node, moved)
        trail.steps.append(moved)


def _source(node: ir.Node, trail: _Trail) -> Source | Blocked | None:
    """The source or the end that `node` is; None where the way goes on through it."""
    if editing.is_op(node, *LINEAR):
        return _linear(node, trail)
    if editing.is_op(node, *_NORMALIZATIONS):
        return _normalization(node, trail)
    if editing.is_op(node, "Mul", "Div"):
        return _product(node, trail)
    if editing.is_op(node, "Add"):
        matmul = _biased_matmul(node)
        if matmul is not None:
            return _linear(matmul, trail)
    return None


def _biased_matmul(node: ir.Node) -> ir.Node | None:
    """The MatMul whose bias an Add adds."""
    position = _constant_operand(node)
    if position is None:
        return None
    bias, value = editing.constant(node.inputs[position]), node.inputs[1 - position]
    matmul = value.producer() if value is not None else None
    is_bias = bias is not None and bias.ndim == 1 and editing.is_op(matmul, "MatMul")
    return matmul if is_bias else None


def _linear(node: ir.Node, trail: _Trail) -> Source | Blocked:
    step = trail.steps[-1]
    value = step.value
    reason = why_not_scalable(node)
    if reason == "the Gemm transposes its input":
        reason = None
    if reason is None and axes_behind_channels(node) != step.behind:
        reason = "channels do not match"
    if reason is not None:
        return Blocked(node, f"{node.op_type} before it: {reason}")
    layer = linear_layers.of_output(value, step.channels)
    if isinstance(layer, str):
        return Blocked(node, f"{node.op_type} before it: {layer}")
    return Source(node, tuple(trail.steps), tuple(trail.constants), is_linear=True)


_NORMALIZATIONS = {
    "BatchNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "RMSNormalization": (1,),
}
"""Operators that end with a scale and an offset, and which of their inputs these are."""


def _normalization(node: ir.Node, trail: _Trail) -> Source | Blocked:
    step = trail.steps[-1]
    positions = [
        position
        for position in _NORMALIZATIONS[node.op_type]
        if editing.input_at(node, position) is not None
    ]
    arrays = [editing.constant(node.inputs[position]) for position in positions]
    last = node.op_type in ("LayerNormalization", "RMSNormalization")
    if (
        any(array is None or array.shape != (step.channels,) for array in arrays)
        or (step.behind != 0 if last else step.axis != 1)
        or (node.op_type == "BatchNormalization" and is_training_normalization(node))
    ):
        return Blocked(node, f"{node.op_type} has no constant scale a channel")
    # The scale and the offset are vectors, wherever the channels are.
    return trail.end(node, replace(step, behind=0), *positions)


def _product(node: ir.Node, trail: _Trail) -> Source | Blocked:
    position = _constant_operand(node)
    if position is None or (node.op_type == "Div" and position == 0):
        return Blocked(node, f"{node.op_type} without a constant factor")
    if not _keeps_channels(node, position, trail.steps[-1]):
        return Blocked(node, f"{node.op_type} by a constant that is not one value a channel")
    return trail.end(node, trail.steps[-1], position, divides=node.op_type == "Div")


def _operands(node: ir.Node, trail: _Trail) -> list[_Trail] | Blocked:
    step = trail.steps[-1]
    rank = editing.rank(step.value)
    sizes = [editing.dimension(value, -1 - step.behind) for value in node.inputs]
    if rank is None or any(size is None for size in sizes):
        return Blocked(node, "shapes before Concat are unknown")
    if int(editing.attribute(node, "axis")) % rank != rank - 1 - step.behind:
        return Blocked(node, "Concat on another axis")
    trails, first = [], 0
    for value, size in zip(node.inputs, sizes, strict=True):
        assert value is not None
        assert size is not None
        inside = (step.index >= first) & (step.index < first + size)
        index = np.where(inside, step.index - first, -1)
        operand = Step(value, step.behind, size, index)
        trails.append(_Trail([*trail.steps, operand], list(trail.constants)))
        first += size
    return trails


def _before(node: ir.Node, trail: _Trail) -> Step | str:
    """The channels in the operator's input, or why its output can't be scaled through it."""
    step = trail.steps[-1]
    if editing.is_op(node, "Add", "Sub"):
        return _before_offset(node, trail)
    return before(node, step)


def _before_offset(node: ir.Node, trail: _Trail) -> Step | str:
    step = trail.steps[-1]
    position = _constant_operand(node)
    if position is None:
        return f"{node.op_type} of two activations"
    value = node.inputs[1 - position]
    assert value is not None
    if (
        not _keeps_channels(node, position, step)
        or editing.dimension(value, -1 - step.behind) != step.channels
    ):
        return f"shapes around {node.op_type} are unknown or broadcast"
    trail.constants.append(Scaled(node, position, step))
    return replace(step, value=value)


def _constant_operand(node: ir.Node) -> int | None:
    found = [position for position in (0, 1) if editing.constant(node.inputs[position]) is not None]
    return found[0] if len(found) == 1 else None


def _keeps_channels(node: ir.Node, position: int, step: Step) -> bool:
    constant = editing.constant(node.inputs[position])
    assert constant is not None
    if constant.dtype not in (np.float32, np.float64):
        return False
    own = constant.ndim - 1 - step.behind
    return own < 0 or constant.shape[own] in (1, step.channels)


def _array(constant: Scaled) -> NDArray[Any]:
    array = editing.constant(constant.node.inputs[constant.position])
    assert array is not None
    return array


def _scaled(constant: Scaled, of_reader: Float) -> Float:
    """The constant over the factors, or times them where its user divides by it."""
    step = constant.step
    factor = step.factor(of_reader) if constant.divides else 1.0 / step.factor(of_reader)
    wide = _array(constant).astype(np.float64)
    return np.asarray(wide * factor.reshape(-1, *[1] * step.behind))


def _scale(constant: Scaled, of_reader: Float) -> None:
    node = constant.node
    graph, old = node.graph, node.inputs[constant.position]
    assert old is not None
    assert isinstance(graph, ir.Graph)
    scaled = precision.stored(_scaled(constant, of_reader), _array(constant).dtype)
    new = editing.add_initializer(graph, old.name or "scale", scaled)
    node.replace_input_with(constant.position, new)
    editing.remove_dead_initializer(old)
