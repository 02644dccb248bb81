"""Which layers stay in float so that accuracy drops by no more than a user allows."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from lprc.compiler.compile.request import CompileRequest
from lprc.compiler.measure.accuracy import config_for, image_input
from lprc.compiler.measure.fidelity import AgreementJudge, Judge, PlateJudge
from lprc.compiler.measure.sensitivity import Quantizable, Search, search
from lprc.core.errors import DataError
from lprc.core.graph import editing
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Arrays


def layers_in_float(request: CompileRequest) -> tuple[Search, Pipeline]:
    """The layers that must stay in float, and the pipeline that leaves them there.

    Args:
        request: With `Demands.max_drop`, and a pass in its pipeline that inserts Q/DQ.

    Raises:
        AccuracyError: The demand can't be met.
        DataError: Neither labelled nor calibration data, or none that the model fits.
        UsageError: The pipeline inserts no Q/DQ.
    """
    demands, calibration = request.demands, request.execution.calibration
    assert demands.max_drop is not None
    if demands.data is None and not calibration:
        raise DataError(
            "there is nothing to measure accuracy on",
            where="--max-accuracy-drop",
            hint="--data DIR names labelled plates; --calib DIR images without labels",
        )
    graph = Quantizable(request.model.clone(), request.pipeline, calibration)
    judge, samples = _judge(request, graph)
    result = search(graph, judge, samples, demands.max_drop, progress=request.observation.progress)
    return result, graph.pipeline(result.excluded)


def _judge(request: CompileRequest, graph: Quantizable) -> tuple[Judge, Sequence[Arrays]]:
    """What scores variants of the graph, and samples to rank layers with."""
    demands, calibration = request.demands, request.execution.calibration
    if demands.data is None:
        return AgreementJudge(graph.reference, calibration), calibration
    session, shapes, where = graph.reference, _shapes(request.model), str(request.source)
    name = image_input(shapes, session.output_names, where)
    config = demands.config or config_for(
        shapes[name], lambda plates: session.run({name: plates})[session.output_names[0]], where
    )
    judge = PlateJudge(demands.data, config, shapes[name][0] or 1)
    return judge, calibration or judge.samples(name)


def _shapes(model: ir.Model) -> dict[str, tuple[int | None, ...]]:
    """The shapes of the inputs by name; None where a size is symbolic."""
    return {
        str(value.name): tuple(
            editing.dimension(value, axis) for axis in range(editing.rank(value) or 0)
        )
        for value in model.graph.inputs
        if not value.is_initializer()
    }
