"""Which layers stay in float so that accuracy drops by no more than a user allows."""

from __future__ import annotations

from collections.abc import Sequence

from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.compile.request import CompileRequest
from lprc.compiler.measure.fidelity import AgreementJudge, Judge, TaskJudge
from lprc.compiler.measure.sensitivity import Quantizable, Search, search
from lprc.core.errors import DataError
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.quantizer import excluding, quantizer_index
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
            hint="--data DIR names labelled samples; --calib DIR samples without labels",
        )
    pipeline = request.pipeline
    # Scores and samples are those of the source's interface.
    inner = tuple(item for item in pipeline.passes if not item.changes_interface)
    graph = Quantizable(request.model.clone(), Pipeline(inner), calibration)
    judge, samples = _judge(request, graph)
    result = search(graph, judge, samples, demands.max_drop, progress=request.observation.progress)
    at = quantizer_index(pipeline)
    quantizer = excluding(pipeline.passes[at], result.excluded)
    return result, Pipeline((*pipeline.passes[:at], quantizer, *pipeline.passes[at + 1 :]))


def _judge(request: CompileRequest, graph: Quantizable) -> tuple[Judge, Sequence[Arrays]]:
    """What scores variants of the graph, and samples to rank layers with."""
    demands, calibration = request.demands, request.execution.calibration
    if demands.data is None:
        return AgreementJudge(graph.reference, calibration), calibration
    interface = interface_of_graph(request.model, str(request.source), graph.reference.run)
    judge = TaskJudge(demands.data, demands.task.resolve(interface), interface)
    return judge, calibration or judge.inputs()
