"""From a model and a pipeline to the rewrite that breaks it and a reproducer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.bisect.bisect import Culprit, find_culprit
from lprc.compiler.bisect.check_command import CheckCommand
from lprc.compiler.bisect.checks import Check, Checks
from lprc.compiler.bisect.conditions import Condition, Verdict, WithinContracts
from lprc.compiler.bisect.metrics import Metric, MetricCondition
from lprc.compiler.bisect.prefixes import Prefixes
from lprc.compiler.bisect.reproducer import is_ours, replay, write_reproducer
from lprc.compiler.bisect.shrink import Reduced, Suspect, shrink
from lprc.core.errors import UsageError
from lprc.core.files.atomic import atomic_folder
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.random_inputs import NoInputsError, random_inputs
from lprc.core.running.size_search import UnrunnableError, made_up_inputs
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice

Report = Callable[[float, int], None]


@dataclass(frozen=True)
class Question:
    """What "bad" means; at most one of `check`, `metric` and `tolerance`.

    Attributes:
        check: A command with ``{}`` for the ONNX file.
        timeout: Seconds that it may take.
        metric: For instance ``accuracy>=0.9``.
        tolerance: What outputs may move by, instead of the passes' contracts.
        data: Labelled samples.
        task: What the model is for.
        inputs: Real inputs; None makes random ones from `seed`.
        seed: Of those.
        sizes: Of their symbolic dimensions; those that are not known are searched for.
    """

    check: str | None = None
    timeout: float | None = None
    metric: str | None = None
    tolerance: float | None = None
    data: Path | None = None
    task: TaskChoice = BY_MODEL
    inputs: Sequence[Arrays] | None = None
    seed: int = 0
    sizes: InputSizes = field(default_factory=dict)

    def asked(self) -> dict[str, str]:
        """The options that say it, for a replay."""
        given = {"check": self.check, "metric": self.metric}
        return {key: text for key, text in given.items() if text is not None}


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        pipeline: The pipeline's canonical text.
        condition: What was asked, in words.
        passes: How many passes it has.
        culprit: What breaks the model.
        reduced: The reproducer's graph; None where none was wanted.
        folder: Where it is.
        replays: Whether it was seen to fail again.
    """

    pipeline: str
    condition: str
    passes: int
    culprit: Culprit
    reduced: Reduced | None = None
    folder: Path | None = None
    replays: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON data; the folder's own name is no part of it."""
        document = {
            "pipeline": self.pipeline,
            "condition": self.condition,
            **self.culprit.document(),
        }
        if self.reduced is not None:
            document["reproducer"] = {
                "nodes": self.reduced.nodes,
                "of_nodes": self.reduced.of,
                "whole_because": self.reduced.why,
            }
        return document


def bisect_file(
    source: Path,
    pipeline_text: str,
    question: Question,
    *,
    calibration: Sequence[Arrays] = (),
    out: Path | None = None,
    listener: Callable[[Check], None] | None = None,
    progress: Report | None = None,
) -> Found:
    """Find what breaks `source`, and write a reproducer.

    Args:
        source: An ONNX file.
        pipeline_text: The passes.
        question: What "bad" means.
        calibration: Samples for data-driven passes.
        out: The folder of the reproducer; None writes none.
        listener: Told of every check.
        progress: Called with the steps done and their number, from the start in each stage.

    Raises:
        UsageError: Nothing to find, a condition that can't be read, or a pipeline that can't.
        LprcError: As of `model_io.load`, of the passes and of the condition.
    """
    pipeline = Pipeline.parse(pipeline_text)
    _check_question(question)
    model = load(source)
    with ExitStack() as stack:
        # A folder that can't be written is found out now, not after an hour.
        folder = (
            None if out is None else stack.enter_context(atomic_folder(out, may_replace=is_ours))
        )
        prefixes = Prefixes(model, pipeline, calibration, progress)
        inputs = _inputs(prefixes, question)
        condition = _condition(pipeline, question, inputs)
        checks = Checks(condition, listener)
        culprit = find_culprit(prefixes, checks, progress)
        result = Found(str(pipeline), condition.text, len(pipeline.passes), culprit)
        if folder is None:
            return result
        suspect, reduced = _reduce(prefixes, culprit, condition, question, inputs, progress)
        result = dataclasses.replace(result, reduced=reduced, folder=out)
        write_reproducer(folder, suspect, reduced, inputs, question.asked(), result.document())
        replayed = replay(folder, question.data, question.task)
    return dataclasses.replace(result, replays=replayed.broken)


def _check_question(question: Question) -> None:
    """Refuse what is wrong with the question before any work."""
    given = {
        "--check": question.check,
        "--metric": question.metric,
        "--tolerance": question.tolerance,
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise UsageError(
            f"{' and '.join(named)} say two things of what is bad", where=named[1], hint="use one"
        )
    if question.timeout is not None and question.check is None:
        raise UsageError("there is no command to end", where="--timeout", hint="add --check")
    if question.check is not None:
        CheckCommand(question.check)
    if question.metric is not None:
        MetricCondition(Metric.parse(question.metric), (), question.data)
    elif question.data is not None:
        raise UsageError(
            "labels are for a metric", where="--data", hint="add --metric 'accuracy>=0.9'"
        )


def _inputs(prefixes: Prefixes, question: Question) -> Sequence[Arrays]:
    """What to run graphs on. The last graph is the most particular about its inputs' shapes."""
    if question.inputs is not None:
        return question.inputs
    input_sets = []
    for candidate in (prefixes.prefix(len(prefixes)), prefixes.prefix(0)):
        try:
            input_sets.append(_made_up(candidate.model, question))
        except NoInputsError:
            continue
    return input_sets[:1]


def _condition(pipeline: Pipeline, question: Question, inputs: Sequence[Arrays]) -> Condition:
    if question.check is not None:
        return CheckCommand(question.check, question.timeout)
    metric = None if question.metric is None else Metric.parse(question.metric)
    if metric is None or metric.name != "bytes":
        _check_interface(pipeline)
    if metric is not None:
        if metric.name not in ("accuracy", "bytes") and not inputs:
            raise UsageError(
                "no inputs can be made up for this graph",
                where="--metric",
                hint="give some with --inputs or --calib",
            )
        return MetricCondition(metric, inputs, question.data, question.task)
    return WithinContracts(
        pipeline, question.inputs, question.seed, question.tolerance, question.sizes
    )


def _check_interface(pipeline: Pipeline) -> None:
    """Refuse passes behind which nothing can be compared with the source any more.

    Raises:
        UsageError: There is one.
    """
    for item in pipeline.passes:
        if item.changes_interface:
            raise UsageError(
                f"{item.name} changes what the graph takes or puts out, so that outputs can't be "
                "compared with the source's",
                where="bisect",
                hint=f"start from what `lprc opt --passes {item.name}{{…}}` writes, and leave it "
                "out here; or judge with --check",
            )


def _made_up(model: ir.Model, question: Question, batch: int | None = None) -> Arrays:
    """Random inputs that a graph runs on; of any sizes where it runs on none.

    Raises:
        NoInputsError: None can be made up.
    """
    seed, sizes = question.seed, question.sizes
    try:
        return made_up_inputs(model, seed=seed, batch=batch, sizes=sizes)
    except (RunError, UnrunnableError):
        return random_inputs(model, seed=seed, batch=batch, sizes=sizes)


def _reduce(
    prefixes: Prefixes,
    culprit: Culprit,
    condition: Condition,
    question: Question,
    inputs: Sequence[Arrays],
    progress: Report | None,
) -> tuple[Suspect, Reduced]:
    first, end = culprit.good, culprit.records[-1].position + 1
    suspect = Suspect(
        prefixes.prefix(first).model,
        prefixes.pipeline.passes[first:end],
        tuple(culprit.rewrites) if culprit.alone else (),
        tuple(culprit.keys) if culprit.alone else (),
        prefixes.calibration,
        _tolerance(prefixes, first, end, question),
    )
    sets = _at_batch(suspect, inputs, question)
    judge = _judge(condition) if isinstance(condition, CheckCommand) else None
    reduced = shrink(suspect, sets, judge, progress)
    if reduced.by_outputs or not condition.relative:
        return suspect, reduced
    # Each pass kept its promise, and together they went too far from the start.
    first = culprit.start
    suspect = Suspect(
        prefixes.prefix(first).model,
        prefixes.pipeline.passes[first:end],
        suspect.rewrites,
        suspect.keys,
        prefixes.calibration,
        _tolerance(prefixes, first, end, question),
    )
    return suspect, shrink(suspect, _at_batch(suspect, inputs, question), None, progress)


def _tolerance(prefixes: Prefixes, first: int, end: int, question: Question) -> float | None:
    """What the outputs may move by between two graphs; None where nothing is promised."""
    if question.tolerance is not None:
        return question.tolerance
    contracts = [record.contract for record in prefixes.records[first:end] if record.changed]
    if any(contract.kind == "lossy" for contract in contracts):
        return None
    return max(contract.tolerance for contract in contracts)


def _at_batch(suspect: Suspect, inputs: Sequence[Arrays], question: Question) -> list[Arrays]:
    """The inputs, those of the one batch size first that a contract may speak of."""
    batch = next((item.contract.batch for item in suspect.passes if item.contract.batch), None)
    input_sets = list(inputs)
    if batch is not None:
        input_sets = [
            {name: array[:batch] if array.ndim else array for name, array in arrays.items()}
            for arrays in inputs
        ]
    with suppress(NoInputsError):  # the others may do
        input_sets.append(_made_up(suspect.model, question, batch))
    return input_sets


def _judge(command: CheckCommand) -> Callable[[ir.Model, ir.Model], bool]:
    def judge(before: ir.Model, after: ir.Model) -> bool:
        good = command.judge_model(before).verdict is Verdict.GOOD
        return good and command.judge_model(after).verdict is Verdict.BAD

    return judge
