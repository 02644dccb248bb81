"""Activation outliers moved into the weights that read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import Range, range_of, set_range
from lprc.core.graph.operators import LINEAR, PRODUCTS
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.running.observe import no_samples, observe
from lprc.passes._scaling.homogeneous import Step
from lprc.passes._scaling.linear_inputs import (
    LARGEST_SCALE,
    NOTHING,
    axes_behind_channels,
    magnitudes,
    scale_inputs,
    why_not_scalable,
    why_not_scaled,
)
from lprc.passes._scaling.sources import Blocked, Source, sources

Float = NDArray[np.float64]

SETTLED = 1e-3
"""Factors that differ from 1 by less than this share change nothing worth changing."""


@dataclass(frozen=True)
class SmoothQuant(Pass):
    """Move the outliers of activation channels into the weights that read them.

    SmoothQuant: Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for
    Large Language Models", ICML 2023. Channel j of the input X of MatMul and Gemm (and Conv, if
    asked) is divided by ``s_j = max|X_j|^alpha / max|W_j|^(1 - alpha)`` and its weights are
    multiplied by it, with X from calibration data and W of all operators that read X together. The
    division goes into the normalisation, product or linear operator that X comes from, also through
    operators for which ``f(k x) = k f(x)``. Where there is none, X stays as it is, or gets a Mul
    with `insert-mul`. Ranges recorded on scaled values are scaled too.

    Enters no subgraphs: their values can't be looked at from outside.
    """

    name = "smooth-quant"
    contract = exact
    reads_calibration = True
    not_after = reasons(
        {
            State.GRID: "scaled weights would not lie on their grid",
            State.QUANTIZED: "its weights are quantised already",
            State.QDQ: "its weights are quantised already",
        }
    )
    alpha: float = option(0.5, "how much of the difficulty the weights take, 0 to 1")
    conv: bool = option(False, "whether inputs of Conv and ConvTranspose are smoothed too")
    insert_mul: bool = option(False, "whether a Mul divides inputs that no constant can divide")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: `alpha` outside 0 to 1.
        """
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must be 0 to 1, not {self.alpha:g}")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Find the inputs, look at them, and smooth each.

        Raises:
            DataError: There is something to smooth and no calibration data, or these give NaN or
                infinite activations.
            RunError: The graph does not run, or does not take the data.
        """
        inputs = self._inputs(model, context)
        if not inputs:
            return
        if not len(context.calibration):
            raise no_samples(self.name)
        seen = _look(model, inputs, context)
        for linear_input in inputs:
            _smooth(linear_input, seen, self.alpha, context)

    def _inputs(self, model: ir.Model, context: PassContext) -> list[_Input]:
        operators = LINEAR if self.conv else LINEAR & PRODUCTS
        read: dict[ir.Value, list[ir.Node]] = {}
        for node in model.graph:
            value = node.inputs[0] if editing.is_op(node, *operators) else None
            if value is not None and editing.constant(value) is None:
                read.setdefault(value, []).append(node)
        inputs = []
        for value, readers in read.items():
            linear_input = _input(value, readers, context, insert_mul=self.insert_mul)
            if linear_input is not None:
                inputs.append(linear_input)
        return inputs


@dataclass(frozen=True)
class _Input:
    """A value to smooth.

    Attributes:
        step: The value itself, with the channels that its readers see.
        readers: The linear operators whose weights are scaled.
        sources: Where the division goes; empty for a Mul behind the value.
    """

    step: Step
    readers: tuple[ir.Node, ...]
    sources: tuple[Source, ...]

    @property
    def scaled(self) -> list[Step]:
        """The values that the sources scale, each once though a Concat has several sources."""
        return list({step.value: step for source in self.sources for step in source.steps}.values())


@dataclass
class _Seen:
    """The extremes of a value's channels over all samples; float64 [channels]."""

    low: Float = field(default_factory=lambda: np.array(np.inf))
    high: Float = field(default_factory=lambda: np.array(-np.inf))

    def add(self, array: NDArray[Any], behind: int) -> None:
        axis = array.ndim - 1 - behind
        others = tuple(each for each in range(array.ndim) if each != axis)
        if array.size:
            self.low = np.minimum(self.low, array.min(axis=others))
            self.high = np.maximum(self.high, array.max(axis=others))


def _input(
    value: ir.Value, nodes: list[ir.Node], context: PassContext, *, insert_mul: bool
) -> _Input | None:
    readers = _alike(nodes, context)
    if not readers:
        return None
    first = readers[0]
    matrix = magnitudes(first)
    channels = matrix.shape[0] * matrix.shape[2]
    step = Step(value, axes_behind_channels(first), channels, np.arange(channels))
    reached, reasons = _sources(step, readers)
    if insert_mul and reasons:
        return _Input(step, tuple(readers), ())
    for reason in dict.fromkeys(reasons):
        # That a Mul would be needed at an input of the graph is no surprise.
        if value.producer() is not None:
            context.skip(first, reason)
    return _Input(step, tuple(readers), tuple(reached)) if reached else None


def _sources(step: Step, readers: list[ir.Node]) -> tuple[list[Source], list[str]]:
    """Where the value can be divided, and why some of it or all can't be."""
    value = step.value
    others = [use for use in value.uses() if use.node not in readers or use.idx != 0]
    if others or value.is_graph_output():
        return [], ["the value has other users"]
    places = list(sources(value, step.behind, step.channels, shared=True))
    return (
        [place for place in places if isinstance(place, Source)],
        [place.reason for place in places if isinstance(place, Blocked)],
    )


def _alike(nodes: list[ir.Node], context: PassContext) -> list[ir.Node]:
    """Those whose weights may be scaled, and which see the channels on the same axis."""
    alike: list[ir.Node] = []
    for node in nodes:
        reason = why_not_scalable(node)
        if reason is not None:
            context.skip(node, reason)
        elif alike and axes_behind_channels(node) != axes_behind_channels(alike[0]):
            context.skip(node, "channels do not match")
        else:
            alike.append(node)
    return alike


def _look(model: ir.Model, inputs: list[_Input], context: PassContext) -> dict[ir.Value, _Seen]:
    """The extremes of every input, and of every scaled value that has a range."""
    steps = {linear_input.step.value: linear_input.step for linear_input in inputs}
    for linear_input in inputs:
        steps.update({s.value: s for s in linear_input.scaled if range_of(s.value) is not None})
    seen = {value: _Seen() for value in steps}
    # Where only inputs of the graph are looked at, ONNX Runtime still wants something to compute.
    ran = inputs[0].readers[0].outputs[0]
    for activations in observe(model, [*steps, ran], context.calibration):
        for value, step in steps.items():
            seen[value].add(activations[value.name or ""], step.behind)
    return seen


def _smooth(
    linear_input: _Input, seen: dict[ir.Value, _Seen], alpha: float, context: PassContext
) -> None:
    factor = _factor(linear_input, seen[linear_input.step.value], alpha)
    first = linear_input.readers[0]
    if factor is None or np.abs(np.log(factor)).max() < SETTLED:
        context.skip(first, "nothing to smooth")
        return
    reasons = [source.why_not(factor) for source in linear_input.sources]
    reasons += [why_not_scaled(reader, factor) for reader in linear_input.readers]
    reason = next((reason for reason in reasons if reason is not None), None)
    if reason is not None:
        context.skip(first, reason)
        return
    where = ", ".join(source.node.name or "" for source in linear_input.sources) or "a Mul"
    span = f"{factor.min():.3g} to {factor.max():.3g}"
    if not context.rewrite(first, f"input divided by {span} in {where}"):
        return
    for reader in linear_input.readers:
        scale_inputs(reader, factor)
    if linear_input.sources:
        for source in linear_input.sources:
            source.divide(factor)
        for step in linear_input.scaled:
            _scale_range(step.value, step.value, seen, step.factor(factor))
    else:
        _insert_mul(linear_input, factor, seen)


def _factor(linear_input: _Input, seen: _Seen, alpha: float) -> Float | None:
    """The divisor of each of the readers' channels; 1 where no source reaches it."""
    drawn = np.maximum(np.abs(seen.low), np.abs(seen.high))
    channels = linear_input.step.channels
    if drawn.shape != (channels,):
        return None
    weight = np.max(
        [magnitudes(reader).max(axis=1).reshape(-1) for reader in linear_input.readers], axis=0
    )
    factor = np.ones(channels)
    for step in [source.steps[-1] for source in linear_input.sources] or [linear_input.step]:
        scale = _scale(step.largest(drawn), step.largest(weight), alpha)
        reached = step.index >= 0
        factor[reached] = scale[step.index[reached]]
    return factor


def _scale(drawn: Float, weight: Float, alpha: float) -> Float:
    """``max|X|^alpha / max|W|^(1 - alpha)``; 1 where either is zero throughout."""
    alive = (drawn > NOTHING) & (weight > NOTHING)
    drawn, weight = np.where(alive, drawn, 1.0), np.where(alive, weight, 1.0)
    scale = np.clip(drawn**alpha / weight ** (1 - alpha), 1 / LARGEST_SCALE, LARGEST_SCALE)
    return np.asarray(np.where(alive, scale, 1.0))


def _insert_mul(linear_input: _Input, factor: Float, seen: dict[ir.Value, _Seen]) -> None:
    value, first = linear_input.step.value, linear_input.readers[0]
    graph = first.graph
    assert isinstance(graph, ir.Graph)
    weight = first.inputs[1]
    assert weight is not None
    assert weight.dtype is not None
    reciprocal = (1.0 / factor).reshape(-1, *[1] * linear_input.step.behind)
    constant = editing.add_initializer(
        graph, f"{first.name}.smooth", reciprocal.astype(weight.dtype.numpy())
    )
    product = editing.new_node(
        "Mul", [value, constant], before=first, sources=[first], shape=value.shape
    )
    for reader in linear_input.readers:
        reader.replace_input_with(0, product)
    _scale_range(value, product, seen, factor)


def _scale_range(old: ir.Value, new: ir.Value, seen: dict[ir.Value, _Seen], factor: Float) -> None:
    """Give `new` the range that contains what each channel of `old` has inside of its range."""
    known = range_of(old)
    if known is None:
        return
    low = np.clip(seen[old].low, known.low, known.high) / factor
    high = np.clip(seen[old].high, known.low, known.high) / factor
    set_range(new, Range(float(low.min()), float(high.max())))
