"""The range of each activation, from calibration data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import onnx_ir as ir

from lprc.core.errors import DataError
from lprc.core.graph import editing
from lprc.core.graph.annotations import Range, range_of, set_range
from lprc.core.graph.operators import MOVES
from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.quantization.affine import Scheme
from lprc.core.quantization.byte_images import byte_image
from lprc.core.quantization.placement import plan
from lprc.core.quantization.placement_rules import Rules
from lprc.core.running.observe import no_samples, not_finite, observe
from lprc.passes._calibration.activation_function import activation_behind
from lprc.passes._calibration.estimators import Method, estimate
from lprc.passes._calibration.histogram import ActivationStatistics
from lprc.passes._calibration.rival_ranges import rival_ranges
from lprc.passes._calibration.task_ranges import task_ranges

FEWEST = 8
"""Samples below which a range is an accident."""


@dataclass(frozen=True)
class Calibrate(Pass):
    """Run calibration data through the graph and record the range of every float32 activation.

    Samples are looked at one at a time, and what is kept of them does not grow with their number.
    ``task`` starts from the best single method and lets each activation that a linear operator
    reads take another one where that lowers the error of the graph's outputs.
    Ranges stand in the graph, as ``metadata_props["lprc.range"]`` of the values, and in its text.
    Pictures of bytes get the range that they have whatever the samples are.
    Enters no subgraphs: their values can't be looked at from outside.
    """

    name = "calibrate"
    contract = exact_everywhere
    reads_calibration = True
    leaves = (State.RANGES,)
    not_after = reasons({State.QDQ: "the scales in the graph are fixed already"})
    method: Method | Literal["task"] = option(
        "mse", "how a range follows from what was seen; task: from the error of the outputs"
    )
    percentile: float = option(99.99, "of method percentile: how much lies inside, in percent")
    scheme: Scheme = option("symmetric", "how it will be quantised; for entropy and mse")
    behind_activation: bool = option(
        False, "mse: of what an activation that alone reads the value makes of it, but for Relu"
    )
    rivals: float = option(
        0.0, "decibels that other methods must gain at the outputs to be taken; 0 tries none"
    )
    samples: int = option(0, "how many samples to use; 0 for all")
    needed: bool = option(True, "whether to refuse to go on without calibration data")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A percentile outside 50 to 100, a negative number of samples or decibels, or
            rivals of task.
        """
        if not 50 <= self.percentile <= 100:
            raise ValueError(f"percentile must be 50 to 100, not {self.percentile:g}")
        if self.samples < 0 or self.rivals < 0:
            raise ValueError("samples and rivals must not be negative")
        if self.rivals and self.method == "task":
            raise ValueError("rivals is for one method; task compares them all by itself")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Record ranges.

        Raises:
            DataError: No calibration data, too few, or activations that are NaN or infinite.
            RunError: The graph does not run, or does not take the data.
        """
        values = activations(model)
        if not values:
            return
        count = len(context.calibration)
        if not count and not self.needed:
            context.skip(None, "no calibration data")
            return
        count = min(count, self.samples) if self.samples else count
        _check_count(count)
        statistics = _statistics(model, values, context, count)
        if not context.rewrite(None, f"{len(values)} ranges from {count} samples, {self.method}"):
            return
        images = _set_byte_ranges(values, self.scheme)
        seen = [value for value in values if value not in images]
        self._record(seen, statistics, editing.opset_version(model), context)
        if self.method != "task" and not self.rivals:
            return
        read = [value for value in _read_by_linear(model) if value not in images]
        if self.method == "task":
            ranges = task_ranges(
                model, read, statistics, context.calibration, self.scheme, context.progress
            )
            for value in read:
                set_range(value, ranges[value.name or ""])
        else:
            self._compare(model, read, statistics, context)

    def _record(
        self,
        values: list[ir.Value],
        statistics: dict[str, ActivationStatistics],
        opset: int,
        context: PassContext,
    ) -> None:
        """Set each value's range by what was seen of it."""
        for value in values:
            value_statistics = statistics[value.name or ""]
            if value_statistics.samples:
                method: Method = "mse" if self.method == "task" else self.method
                behind = activation_behind(value, opset) if self.behind_activation else None
                estimated = estimate(
                    value_statistics,
                    method,
                    self.scheme,
                    percentile=self.percentile,
                    behind=behind,
                )
                set_range(value, estimated)
            if value_statistics.reach == 0.0:
                context.skip(
                    value.producer(), "zero on every sample; it will quantise with scale 1"
                )

    def _compare(
        self,
        model: ir.Model,
        values: list[ir.Value],
        statistics: dict[str, ActivationStatistics],
        context: PassContext,
    ) -> None:
        """Take other methods' ranges where they do better at the outputs by `rivals` decibels."""
        own = {value.name or "": own_range for value in values if (own_range := range_of(value))}
        if not own:
            return
        choice = rival_ranges(
            model, values, statistics, context.calibration, own, self.scheme, context.progress
        )
        if choice.gain < self.rivals:
            context.skip(None, "no other method gains enough at the outputs")
            return
        changed = [value for value in values if choice.ranges[value.name or ""] != range_of(value)]
        note = f"{len(changed)} ranges by other methods: {choice.gain:+.1f} dB at the outputs"
        if context.rewrite(None, note):
            for value in changed:
                set_range(value, choice.ranges[value.name or ""])


def activations(model: ir.Model) -> Sequence[ir.Value]:
    """The float32 values of the main graph that depend on an input, in graph order."""
    moving: dict[ir.Value, None] = {}
    for value in model.graph.inputs:
        if not value.is_initializer():
            moving[value] = None
    for node in model.graph:
        if any(value in moving for value in node.inputs if value is not None):
            moving.update(dict.fromkeys(value for value in node.outputs if value.name))
    return [
        value
        for value in moving
        if isinstance(value.type, ir.TensorType) and value.dtype == ir.DataType.FLOAT
    ]


def _set_byte_ranges(values: Sequence[ir.Value], scheme: Scheme) -> set[ir.Value]:
    """Give pictures of bytes the one range that loses nothing; those, and what only moves them."""
    images: dict[ir.Value, Range] = {}
    for value in values:
        image = byte_image(value)
        exact = None if image is None else image.range_for(scheme)
        node = value.producer()
        if exact is None and editing.is_op(node, *MOVES - {"Concat"}):
            assert node is not None
            exact = images.get(node.inputs[0]) if node.inputs[0] is not None else None
        if exact is not None:
            images[value] = exact
            set_range(value, exact)
    return set(images)


def _read_by_linear(model: ir.Model) -> list[ir.Value]:
    """The activations that linear operators read, through carriers or not; they have ranges."""
    placement = plan(model, Rules())
    carriers = set(placement.carriers)
    read = [node.inputs[index] for node, index in placement.inputs if node not in carriers]
    return [value for value in dict.fromkeys(read) if value is not None]


def _statistics(
    model: ir.Model, values: Sequence[ir.Value], context: PassContext, count: int
) -> dict[str, ActivationStatistics]:
    """What the first `count` samples make of each value, by its name.

    Raises:
        DataError: Something is NaN or infinite.
    """
    statistics = {value.name or "": ActivationStatistics(count) for value in values}
    samples = islice(iter(context.calibration), count)
    # The statistics meet what is not finite by themselves.
    for done, arrays in enumerate(observe(model, values, samples, check=False), 1):
        context.progress(done, count)
        for name, array in arrays.items():
            if not statistics[name].update(array):
                raise not_finite(name, done)
    return statistics


def _check_count(count: int) -> None:
    if count == 0:
        raise no_samples()
    if count < FEWEST:
        raise DataError(
            f"{count} calibration samples are too few",
            where="pass 'calibrate'",
            hint=f"give at least {FEWEST}; a few hundred, as varied as what will come, are better",
        )
