"""The pass of a pipeline that puts Q/DQ around layers, and which layers those are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.requested import requested
from lprc.core.running.numerics import Arrays

EXCLUDE = "exclude"
"""The option that names nodes for a pass to leave alone."""


@runtime_checkable
class PlansLayers(Protocol):
    """A quantising pass that can say which layers it would quantise without doing it."""

    def planned_layers(self, model: ir.Model) -> list[ir.Node]:
        """The nodes of `model` whose inputs it would quantise, in graph order."""


def quantizer_index(pipeline: Pipeline) -> int:
    """The place of the first pass that leaves Q/DQ and can be told to leave layers in float.

    Raises:
        UsageError: The pipeline has no such pass.
    """
    inserting = [at for at, item in enumerate(pipeline.passes) if State.QDQ in item.states()]
    if not inserting:
        raise UsageError(
            "no pass of the pipeline inserts Q/DQ, so that there is nothing to leave in float",
            where="pipeline",
            hint="use a quantising target, for instance openvino-int8",
        )
    for index in inserting:
        if isinstance(getattr(pipeline.passes[index], EXCLUDE, None), tuple):
            return index
    name = pipeline.passes[inserting[0]].name
    raise UsageError(
        f"{name} has no option '{EXCLUDE}', so that it can leave nothing in float",
        where="pipeline",
        hint="use a quantising pass that has one",
        pass_name=name,
        option=EXCLUDE,
    )


def excluding(quantizer: Pass, names: Sequence[str]) -> Pass:
    """`quantizer` with more nodes left in float, by name; it has an option ``exclude``."""
    excluded: tuple[str, ...] = getattr(quantizer, EXCLUDE)
    changes: dict[str, Any] = {EXCLUDE: tuple(dict.fromkeys((*excluded, *names)))}
    return replace(quantizer, **changes)  # type: ignore[type-var]


def layers_to_quantize(
    quantizer: Pass, model: ir.Model, calibration: Sequence[Arrays] = ()
) -> list[ir.Node]:
    """The nodes of the float graph `model` that `quantizer` would have computed on integers.

    A pass that does not plan (`PlansLayers`) is run on a copy: the linear operators that read
    dequantised values afterwards are its layers.
    """
    if isinstance(quantizer, PlansLayers):
        return quantizer.planned_layers(model)
    trial = model.clone()
    quantizer.run(trial, PassContext(calibration=calibration))
    names = {asked.node.name for asked in requested(trial) if asked.quantized}
    return [asked.node for asked in requested(model) if asked.node.name in names]
