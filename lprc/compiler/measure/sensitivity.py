"""Which layers suffer from quantisation, and which few to leave in float."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from lprc.compiler.measure.fidelity import Judge
from lprc.core.errors import AccuracyError
from lprc.core.graph.provenance import origins
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.quantizer import excluding, layers_to_quantize, quantizer_index
from lprc.core.running.numerics import Arrays, Session
from lprc.core.running.observe import spread
from lprc.core.running.signal_to_noise import SignalToNoise

Report = Callable[[float, int], None]

RANKING_SAMPLES = 24
"""Samples that rank layers; the search itself uses all that it is given."""


@dataclass(frozen=True)
class LayerSensitivity:
    """What quantising one layer alone does.

    Attributes:
        node: The layer's node in the lowered graph.
        op_type: Its operator.
        origins: The source nodes that it came from.
        snr_db: The outputs' signal-to-noise ratio in decibels with only this layer quantised.
    """

    node: str
    op_type: str
    origins: tuple[str, ...]
    snr_db: float


@dataclass(frozen=True)
class Trial:
    """One set of layers left in float, and the score with it."""

    excluded: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class Search:
    """What the accuracy-aware search found.

    Attributes:
        metric: What the scores are.
        reference: The float graph's score.
        wanted: The least score allowed.
        layers: All layers, the most sensitive first.
        trials: What was tried, in order.
        excluded: The layers that stay in float.
        score: The score with them.
    """

    metric: str
    reference: float
    wanted: float
    layers: tuple[LayerSensitivity, ...]
    trials: tuple[Trial, ...]
    excluded: tuple[str, ...]
    score: float

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "metric": self.metric,
            "reference": self.reference,
            "wanted": self.wanted,
            "score": self.score,
            "excluded": list(self.excluded),
            "trials": [vars(trial) | {"excluded": list(trial.excluded)} for trial in self.trials],
            "layers": [vars(layer) | {"origins": list(layer.origins)} for layer in self.layers],
        }


class Quantizable:
    """A float graph just before the pass that inserts Q/DQ, from which variants are quantised.

    Calibration and everything before it run once; a variant is a copy of the graph with the
    passes from the quantising one on, so that trying a set of layers costs no calibration.

    Args:
        model: The source graph; it is changed in place.
        pipeline: With a pass in it that inserts Q/DQ and has an option ``exclude``.
        calibration: For the data-driven passes.

    Raises:
        UsageError: The pipeline has no such pass.
    """

    def __init__(
        self, model: ir.Model, pipeline: Pipeline, calibration: Sequence[Arrays] = ()
    ) -> None:
        at = quantizer_index(pipeline)
        self._before = pipeline.passes[:at]
        self._quantizer = pipeline.passes[at]
        self._behind = pipeline.passes[at + 1 :]
        self._calibration = calibration
        PassManager(Pipeline(self._before), calibration=calibration).run(model)
        self._model = model
        self.reference = Session(to_bytes(model), optimize=True, threads=2)

    def pipeline(self, excluded: Sequence[str]) -> Pipeline:
        """The whole pipeline with more layers left in float."""
        return Pipeline((*self._before, excluding(self._quantizer, excluded), *self._behind))

    def layers(self) -> list[ir.Node]:
        """The nodes whose inputs would be quantised, carriers left out, in graph order."""
        return layers_to_quantize(self._quantizer, self._model, self._calibration)

    def session(self, excluded: Sequence[str]) -> Session:
        """A variant with those layers in float, loaded."""
        copy = self._model.clone()
        passes: list[Pass] = list(self.pipeline(excluded).passes[len(self._before) :])
        for item in passes:
            item.run(copy, PassContext(calibration=self._calibration))
        return Session(to_bytes(copy), optimize=True, threads=2)


def rank(
    graph: Quantizable, samples: Sequence[Arrays], *, progress: Report | None = None
) -> list[LayerSensitivity]:
    """All layers, the one whose quantisation alone disturbs the outputs most first.

    Args:
        graph: The graph.
        samples: `RANKING_SAMPLES` of them, evenly spread, are used.
        progress: Called with the layers done and their number.
    """
    chosen = list(spread(samples, RANKING_SAMPLES))
    expected = [graph.reference.run(sample) for sample in chosen]
    layers = graph.layers()
    names = [node.name or "" for node in layers]
    ranked = []
    for index, node in enumerate(layers):
        session = graph.session([name for name in names if name != node.name])
        ratio = SignalToNoise()
        for sample, outputs in zip(chosen, expected, strict=True):
            ratio.add(outputs, session.run(sample))
        ranked.append(
            LayerSensitivity(node.name or "", node.op_type, origins(node), ratio.decibels)
        )
        if progress is not None:
            progress(index + 1, len(layers))
    return sorted(ranked, key=lambda layer: layer.snr_db)


def search(
    graph: Quantizable,
    judge: Judge,
    samples: Sequence[Arrays],
    max_drop: float,
    *,
    progress: Report | None = None,
) -> Search:
    """The fewest layers to leave in float so that the score drops by no more than `max_drop`.

    Layers are ranked once on a few samples; the number of the most sensitive ones to leave in
    float is then bisected on all data, and each of them is tried in int8 again, the least
    sensitive first. That takes ``log2(layers) + reverted`` looks at the data, not ``layers``.

    Raises:
        AccuracyError: Not even with every layer in float.
    """
    reference = judge.score(graph.reference)
    wanted = reference - max_drop
    trials: list[Trial] = []

    def good(excluded: Sequence[str]) -> bool:
        trial = next((earlier for earlier in trials if earlier.excluded == tuple(excluded)), None)
        if trial is None:
            trial = Trial(tuple(excluded), judge.score(graph.session(excluded)))
            trials.append(trial)
        # Scores are fractions of a whole number of samples.
        return trial.score >= wanted - 1e-9

    if good(()):
        return _result(judge, reference, wanted, [], trials, ())
    layers = rank(graph, samples, progress=progress)
    names = [layer.node for layer in layers]
    if not good(names):
        raise AccuracyError(
            f"{judge.what} is {trials[-1].score:.4f} with every layer in float, "
            f"and {wanted:.4f} is wanted",
            where="--max-accuracy-drop",
            hint="other passes of the pipeline cost accuracy; `lprc opt --verify each` shows them",
        )
    low, high = 0, len(names)
    while high - low > 1:
        middle = (low + high) // 2
        if good(names[:middle]):
            high = middle
        else:
            low = middle
    excluded = names[:high]
    # The last one is needed: without it the score was too low.
    for name in reversed(excluded[:-1]):
        fewer = [other for other in excluded if other != name]
        if good(fewer):
            excluded = fewer
    return _result(judge, reference, wanted, layers, trials, tuple(excluded))


def _result(
    judge: Judge,
    reference: float,
    wanted: float,
    layers: list[LayerSensitivity],
    trials: list[Trial],
    excluded: tuple[str, ...],
) -> Search:
    score = next(trial.score for trial in trials if trial.excluded == excluded)
    return Search(judge.what, reference, wanted, tuple(layers), tuple(trials), excluded, score)
