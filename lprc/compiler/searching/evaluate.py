"""One candidate, from cheap questions to dear ones, until it is hopeless or an artefact."""

from __future__ import annotations

import math
import platform
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from lprc.compiler.artifact.artifact import LOWERED, open_artifact
from lprc.compiler.artifact.build_inputs import labelled_sha256
from lprc.compiler.artifact.manifest import write_manifest
from lprc.compiler.cache.location import store_in_use
from lprc.compiler.compile.model import Compiled, compile_model
from lprc.compiler.compile.optimize import optimize
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.samples import samples_of
from lprc.compiler.compile.settings import Execution, Memory
from lprc.compiler.measure.evaluation import interface_of, sample_inputs, score_of
from lprc.compiler.searching.candidate import Candidate
from lprc.compiler.searching.outcome import Bars, Outcome, PassTime
from lprc.compiler.searching.sequential import loses_too_much
from lprc.core.costs.statistics import model_statistics
from lprc.core.errors import IllegalForTargetError, LprcError
from lprc.core.files.digest import document_sha256, sha256
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_order import serves_quantization
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Arrays, Session
from lprc.core.running.observe import spread
from lprc.core.running.signal_to_noise import SignalToNoise
from lprc.core.targets.emitter import Emit
from lprc.core.targets.legality import check
from lprc.core.targets.target import target as find_target
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.score import Score
from lprc.core.tasks.task import Sample, Task
from lprc.core.tasks.task_file import task_choice

SNR_SAMPLES = 32
"""How many samples the outputs of the lowered graph are compared on."""

CHUNK = 20
"""Labelled samples between two looks at whether to stop."""


@dataclass(frozen=True)
class Question:
    """What candidates are judged by; it can be pickled.

    Attributes:
        model: An ONNX file.
        data: Labelled samples.
        calibration: Samples for data-driven passes; None for none.
        task: What the model is for; None where the model tells.
        max_drop: How much the score may fall.
        threads: CPU threads of the runtimes.
        seed: Of the order of samples.
    """

    model: Path
    data: Path
    calibration: Path | None = None
    task: str | None = None
    max_drop: float = 0.005
    threads: int | None = None
    seed: int = 0


class Evaluator:
    """Answers a question for one candidate after the other; what they share is read once.

    Raises:
        LprcError: The model, the data or the task can't be used.

    Attributes:
        question: It.
        model: The source graph.
        calibration: Samples for data-driven passes.
        interface: The source's.
        choice: What the user said of the task; None for nothing.
        task: What the model is for.
        samples: Labelled ones, in random order.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.model = load(question.model)
        where = str(question.model)
        self.choice = task_choice(question.task)
        self.calibration = samples_of(self.model, where, question.calibration, self.choice)
        runner = open_artifact(question.model).runner(threads=question.threads)
        self.interface = interface_of(runner, where)
        self.task = self.choice.resolve(self.interface)
        samples = self.task.labelled(question.data)
        order = np.random.default_rng(question.seed).permutation(len(samples))
        self.samples: list[Sample] = [samples[index] for index in order]
        self._model_sha256 = sha256(question.model)

    @cached_property
    def reference(self) -> Score:
        """The source's score, in ONNX Runtime."""
        return score_of(self.task, self.interface, self.samples)

    @cached_property
    def data_sha256(self) -> str:
        """Of the labelled samples."""
        return labelled_sha256(self.samples)

    @cached_property
    def expected(self) -> list[tuple[Arrays, Arrays]]:
        """A few inputs, and what the source makes of them."""
        inputs: Sequence[Arrays] = self.calibration
        if not len(inputs):
            few = spread(self.samples, SNR_SAMPLES)
            inputs = [sample_inputs(self.task, self.interface, item.path) for item in few]
        chosen = [dict(sample) for sample in spread(inputs, SNR_SAMPLES)]
        return [(sample, dict(self.interface.run(sample))) for sample in chosen]

    def evaluate(self, candidate: Candidate, place: Path, bars: Bars) -> Outcome:
        """Judge a candidate; where it is accurate enough, its artefact is at `place`.

        Args:
            candidate: What to compile.
            place: A folder that is not there yet.
            bars: What earlier trials say of those that are hopeless.
        """
        started = time.perf_counter()
        trial = _Trial(self, candidate, place, Outcome("failed", worker=platform.node()))
        try:
            trial.run(bars)
        except IllegalForTargetError as error:
            trial.end("illegal", error)
        except LprcError as error:
            trial.end("failed", error)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of ours costs one trial, not hours
            trial.end("failed", f"internal error: {type(error).__name__}: {error}")
        finally:
            shutil.rmtree(trial.scratch, ignore_errors=True)
            if trial.memory.store is not None:
                trial.memory.store.close()  # what a hopeless trial has written counts, too
        if not trial.outcome.is_feasible:
            shutil.rmtree(place, ignore_errors=True)
        return replace(trial.outcome, seconds=time.perf_counter() - started)

    def prefix_key(self, records: Sequence[PassRecord], count: int) -> str:
        """What stands for the first `count` passes on this model and its data."""
        texts = [record.text for record in records[:count]]
        calibrated = str(self.question.calibration)
        return document_sha256([self._model_sha256, calibrated, texts])[:16]


@dataclass
class _Trial:
    """One candidate on its way."""

    evaluator: Evaluator
    candidate: Candidate
    place: Path
    outcome: Outcome
    memory: Memory = field(default_factory=lambda: Memory(store_in_use()))

    @property
    def scratch(self) -> Path:
        """Where the lowered graph is before it is translated."""
        return self.place.with_name(f"{self.place.name}.lowered")

    def end(self, stage: str, error: LprcError | str) -> None:
        """Note why it ended."""
        why = str(error).splitlines()[0]
        self.outcome = self.outcome.ended("illegal" if stage == "illegal" else "failed", why)

    def run(self, bars: Bars) -> None:
        """Ask one question after the other."""
        self._count()
        assert self.outcome.macs is not None
        assert self.outcome.parameters is not None
        if bars.costs_more(self.outcome.macs, self.outcome.parameters):
            why = "one that differs in pruning alone and is accurate enough has less of both"
            self.outcome = self.outcome.ended(
                "costly", f"{self.outcome.macs} MACs, {self.outcome.parameters} parameters: {why}"
            )
            return
        self._lower()
        same = bars.lowered.get(self.outcome.lowered_sha256 or "")
        if same is not None:
            why = f"the same graph as trial {same}"
            self.outcome = replace(self.outcome, same_as=same).ended("same", why)
            return
        self._compare()
        assert self.outcome.snr_db is not None
        if self.outcome.snr_db < bars.snr_db:
            why = f"{self.outcome.snr_db:.1f} dB; others were too inaccurate with {bars.snr_db:.1f}"
            self.outcome = self.outcome.ended("noisy", why)
            return
        compiled = self._compiled(self.place, "engine")
        self.outcome = replace(self.outcome, size_bytes=compiled.artifact.size_bytes)
        self._answer(compiled)

    def _count(self) -> None:
        """Run what does not quantise, and see what is left to compute.

        Raises:
            IllegalForTargetError: It is nothing for the target, however it would be quantised.
        """
        goal = find_target(self.candidate.target)
        passes = Pipeline.parse(self.candidate.pipeline).passes
        at = next(
            (index for index, item in enumerate(passes) if serves_quantization(item.states())),
            len(passes),
        )
        model = self.evaluator.model.clone()
        calibration = self.evaluator.calibration
        execution = Execution(verify="off", calibration=calibration)
        done = optimize(model, Pipeline(passes[:at]), execution, memory=self.memory)
        self._note(done.records)
        rules = [rule for rule in goal.rules if not rule.rule.startswith(("qdq-", "sparse-"))]
        violations = check(model, rules)
        if violations:
            first = violations[0]
            raise IllegalForTargetError(f"{first.place}: {first.message}", hint=first.remedy)
        counted = model_statistics(model)
        self.outcome = replace(self.outcome, macs=counted.macs, parameters=counted.parameters)

    def _lower(self) -> None:
        compiled = self._compiled(self.scratch, "onnx")
        self._note(compiled.optimized.records)
        self.outcome = replace(self.outcome, lowered_sha256=sha256(self.scratch / LOWERED))

    def _compare(self) -> None:
        """How far the lowered graph's outputs are from the source's, on a few samples."""
        lowered = self.scratch / LOWERED
        session = Session(lowered, optimize=True, threads=self.evaluator.question.threads or 1)
        ratio = SignalToNoise()
        for sample, expected in self.evaluator.expected:
            ratio.add(expected, session.run(sample))
        decibels = min(ratio.decibels, _QUIET)
        if math.isnan(decibels):
            decibels = -_QUIET
        self.outcome = replace(self.outcome, snr_db=decibels)

    def _compiled(self, place: Path, emit: Emit) -> Compiled:
        question = self.evaluator.question
        request = compile_request(
            question.model,
            self.candidate.target,
            place,
            passes=self.candidate.pipeline,
            emit=emit,
            options=self.candidate.options,
            calibration=question.calibration,
            verify="final" if emit == "engine" else "off",
            task=question.task,
            memory=self.memory,
        )
        return compile_model(request)

    def _note(self, records: Sequence[PassRecord]) -> None:
        """Add what passes took; those that ran a moment ago are known and count once."""
        noted = {item.prefix for item in self.outcome.passes}
        times = [
            PassTime(self.evaluator.prefix_key(records, at + 1), record.seconds, record.remembered)
            for at, record in enumerate(records)
        ]
        fresh = tuple(item for item in times if item.prefix not in noted)
        self.outcome = replace(self.outcome, passes=(*self.outcome.passes, *fresh))

    def _answer(self, compiled: Compiled) -> None:
        """Answer labelled samples in the artefact's runtime, until it is clear that it is bad."""
        evaluator, question = self.evaluator, self.evaluator.question
        runner = compiled.artifact.runner(threads=question.threads)
        interface = interface_of(runner, str(self.place))
        task = evaluator.choice.resolve(interface)
        reference, samples = evaluator.reference, evaluator.samples
        records: list[object] = []
        for start in range(0, len(samples), CHUNK):
            records += _records(task, interface, samples[start : start + CHUNK])
            if task.shares and loses_too_much(
                [bool(record[0]) for record in reference.records[: len(records)]],
                [bool(record[0]) for record in records],  # type: ignore[index]
                question.max_drop,
                total=len(samples),
            ):
                self.outcome = replace(self.outcome, judged=len(records)).ended(
                    "inaccurate", f"loses too much on the first {len(records)} samples"
                )
                return
        self._judge(compiled, Score(task, tuple(records)))

    def _judge(self, compiled: Compiled, score: Score) -> None:
        question, reference = self.evaluator.question, self.evaluator.reference
        difference = score.less(reference)
        drop = reference.value - score.value
        self.outcome = replace(
            self.outcome,
            judged=score.total,
            accuracy=score.value,
            interval=(score.interval.low, score.interval.high),
            drop=drop,
            drop_interval=(-difference.interval.high, -difference.interval.low),
        )
        if drop > question.max_drop + 1e-9:
            why = f"{score.task.metric} {score.value:.4f} beside {reference.value:.4f}"
            self.outcome = self.outcome.ended("inaccurate", why)
            return
        self.outcome = self.outcome.ended("accurate")
        document = dict(compiled.artifact.manifest or {})
        measured = {"task": score.task.name, "data_sha256": self.evaluator.data_sha256}
        document["metrics"] = {"accuracy": {**score.document(), **measured}}
        write_manifest(document, self.place)


_QUIET = 300.0
"""Decibels that stand for no difference at all."""


def _records(task: Task, interface: Interface, samples: Sequence[Sample]) -> list[object]:
    return list(score_of(task, interface, samples).records)
