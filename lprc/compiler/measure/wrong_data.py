"""Whether a bad score is the data's or the task file's fault rather than the model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lprc.core.running.observe import spread
from lprc.core.tasks.score import Score
from lprc.core.tasks.task import Sample, Task

SUSPICIOUS = 0.5
"""A score below this makes one look for what was mistaken."""

FEW = 32
"""Samples that alternatives are tried on."""

GAIN = 0.15
"""How much better an alternative must be to be named."""

Rescore = Callable[[Task, Sequence[Sample]], Score]


def remark(score: Score, samples: Sequence[Sample], rescore: Rescore) -> str:
    """What should have been said of the images, if a bad score comes from that; else empty.

    Colours in another order and values in another range are what people mistake.

    Args:
        score: Over all samples.
        samples: Those.
        rescore: Gives the score of a task on some samples.
    """
    task = score.task
    if score.value >= SUSPICIOUS or not task.takes_images or not samples:
        return ""
    few = list(spread(samples, FEW))
    base = rescore(task, few).value
    gains = []
    for words, image in task.input.alternatives():
        value = rescore(task.with_input(image), few).value
        gains.append((value - base, words, value))
    gain, words, value = max(gains, default=(0.0, "", 0.0))
    if gain < GAIN:
        return ""
    return (
        f"with {words} the {task.metric} of {len(few)} {task.samples} is {value:.4f} "
        f"instead of {base:.4f}: is [input] of task '{task.name}' right?"
    )
