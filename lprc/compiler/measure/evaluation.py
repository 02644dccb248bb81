"""How well a model or artefact does its task on labelled data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.compiler.measure.wrong_data import remark
from lprc.core.errors import DataError
from lprc.core.notebook import html_table
from lprc.core.running.runner import Runner
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.score import Score
from lprc.core.tasks.task import Sample, Task, fixed_batch
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice

Report = Callable[[int, int], None]

Prepared = tuple[Mapping[str, NDArray[Any]], Placement | None]


@dataclass(frozen=True)
class Wrong:
    """A sample that was not answered perfectly: what is right, what was answered, its own score."""

    path: Path
    label: str
    predicted: str
    score: float
    answer: Any

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "file": self.path.name,
            "label": self.label,
            "predicted": self.predicted,
            "score": self.score,
        }


@dataclass(frozen=True)
class Evaluation:
    """What a model's answers were worth; `wrong` lists those that were not perfect, worst first.

    Attributes:
        artefact: The model.
        score: Over all samples.
        wrong: Samples with their labels and answers.
        samples: All of them.
        remark: What seems to be wrong with the data or the task; empty where nothing does.
    """

    artefact: str
    score: Score
    wrong: tuple[Wrong, ...]
    samples: tuple[Sample, ...] = ()
    remark: str = ""

    @property
    def task(self) -> Task:
        """Which judged it."""
        return self.score.task

    @property
    def accuracy(self) -> float:
        """The score's value, 0 to 1."""
        return self.score.value

    @property
    def correct(self) -> int | None:
        """How many samples were right, where the task tells right from wrong."""
        return self.score.correct

    @property
    def total(self) -> int:
        """The number of samples."""
        return self.score.total

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "artefact": self.artefact,
            "task": self.task.name,
            "kind": self.task.kind,
            "accuracy": self.accuracy,
            **self.score.document(),
            **self.task.details(self.score.records),
            "wrong": [sample.document() for sample in self.wrong],
            "remark": self.remark,
        }

    def metric(self, data_sha256: str) -> dict[str, Any]:
        """As one of a manifest's metrics.

        Args:
            data_sha256: Of the samples and their labels.
        """
        return {**self.score.document(), "task": self.task.name, "data_sha256": data_sha256}

    def __str__(self) -> str:
        """The score, in one line."""
        return str(self.score)

    def _repr_html_(self) -> str:
        """What a notebook shows: the score, and what was answered wrong."""
        cells = [
            (sample.path.name, sample.label, sample.predicted or "nothing", f"{sample.score:.3f}")
            for sample in self.wrong
        ]
        columns = ("file", "label", "answer", ">score")
        return html_table(f"{self.artefact}: {self}", columns, cells, self.remark)


def evaluate(
    artefact: str | Path | Artifact,
    data: Path,
    *,
    task: TaskChoice = BY_MODEL,
    batch: int = 1,
    threads: int | None = None,
    explain: bool = False,
    progress: Report | None = None,
) -> Evaluation:
    """Answer every sample of `data` and compare with its label.

    Args:
        artefact: A folder of ``compile`` or a model file, opened or not.
        data: Labelled samples, as the task reads them.
        task: What the model is for; where nothing is said the artefact's own, else a built-in one
            that evidently is the model's.
        batch: Samples a run; the last may be smaller where the model's batch is symbolic.
        threads: CPU threads of the runtime.
        explain: Whether to find out what may be mistaken about the images where the score is bad.
        progress: Called with the samples done and their number.

    Raises:
        DataError: Data or task do not fit each other or the model.
    """
    opened = artefact if isinstance(artefact, Artifact) else open_artifact(artefact)
    where = str(artefact.path) if isinstance(artefact, Artifact) else str(artefact)
    interface = interface_of(opened.runner(threads=threads), where)
    chosen = task.or_own(opened.task).resolve(interface)
    samples = chosen.labelled(data)
    try:
        answers = list(_answers(chosen, interface, samples, batch, progress))
    except DataError as error:
        error.where = error.where or where
        raise
    score = _judged(chosen, answers, samples)
    wrong = tuple(
        Wrong(
            samples[index].path,
            chosen.text(samples[index].truth),
            chosen.text(answers[index]),
            chosen.combine([score.records[index]]),
            answers[index],
        )
        for index in score.worst()
    )
    doubt = ""
    if explain:
        doubt = remark(score, samples, lambda other, few: score_of(other, interface, few))
    return Evaluation(where, score, wrong, tuple(samples), doubt)


def score_of(task: Task, interface: Interface, samples: Sequence[Sample]) -> Score:
    """The score of a model on some samples.

    Args:
        task: Fitted to the model.
        interface: The model's.
        samples: Of the task.

    Raises:
        DataError: The model does not fit.
    """
    return _judged(task, _answers(task, interface, samples, 1, None), samples)


def _judged(task: Task, answers: Iterable[Any], samples: Sequence[Sample]) -> Score:
    pairs = zip(answers, samples, strict=True)
    return Score(task, tuple(task.judge(answer, sample.truth) for answer, sample in pairs))


def sample_inputs(task: Task, interface: Interface, path: Path) -> dict[str, NDArray[Any]]:
    """One sample as a model takes it; a fixed batch is filled with it.

    Args:
        task: Fitted to the model.
        interface: The model's.
        path: The sample's file.

    Raises:
        DataError: It can't be read.
    """
    prepared = task.prepare(path, interface)
    if not task.takes_images:
        return dict(prepared[0])
    return _stacked([prepared], interface.fixed_batch)


def interface_of(runner: Runner, where: str) -> Interface:
    """What a loaded model takes and gives."""
    return Interface(runner.inputs, runner.dtypes, runner.outputs, where, runner.run)


def _answers(
    task: Task,
    interface: Interface,
    samples: Sequence[Sample],
    batch: int,
    progress: Report | None,
) -> Iterator[Any]:
    fixed = interface.fixed_batch if task.takes_images else None
    size = fixed or (batch if task.takes_images else 1)
    for start in range(0, len(samples), size):
        prepared = [task.prepare(item.path, interface) for item in samples[start : start + size]]
        inputs = _stacked(prepared, fixed) if task.takes_images else prepared[0][0]
        outputs = interface.run(inputs)
        named = {name: outputs[name] for name in interface.outputs}
        yield from task.answers(named, [place for _, place in prepared])
        if progress is not None:
            progress(start + len(prepared), len(samples))


def _stacked(prepared: Iterable[Prepared], fixed: int | None) -> dict[str, NDArray[Any]]:
    arrays = [inputs for inputs, _ in prepared]
    return {
        name: fixed_batch(np.stack([item[name] for item in arrays]), fixed or len(arrays))
        for name in arrays[0]
    }
