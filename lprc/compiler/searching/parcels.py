"""A question as a parcel, which goes to other machines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lprc.compiler.cluster.parcels import Parcel, model_files, packed, sample_files, task_files
from lprc.compiler.searching.evaluate import Question

_TASK = "task"


@dataclass(frozen=True)
class QuestionParcel:
    """The files of a question, and the question with their places in the parcel.

    Attributes:
        parcel: The files.
        question: With paths relative to the parcel.
    """

    parcel: Parcel
    question: Question


def question_parcel(question: Question) -> QuestionParcel:
    """Pack all that a question needs.

    Raises:
        LprcError: A file of it can't be read.
    """
    files = model_files(question.model, "model")
    more, data = sample_files(question.data, "data")
    files |= more
    calibration = None
    if question.calibration is not None:
        more, calibration = sample_files(question.calibration, "calibration")
        files |= more
    more, task = task_files(question.task, _TASK)
    files |= more
    there = replace(
        question,
        model=Path("model", question.model.name),
        data=data,
        calibration=calibration,
        task=task,
    )
    return QuestionParcel(packed(files), there)


def question_in(folder: Path, question: Question) -> Question:
    """The question of a parcel with the places of its files in `folder`."""
    own_task = question.task is not None and question.task.startswith(f"{_TASK}/")
    return replace(
        question,
        model=folder / question.model,
        data=folder / question.data,
        calibration=None if question.calibration is None else folder / question.calibration,
        task=str(folder / str(question.task)) if own_task else question.task,
    )
