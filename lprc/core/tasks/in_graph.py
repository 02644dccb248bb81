"""The passes that move what a task does around a network into the network's graph."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lprc.core.errors import DataError
from lprc.core.tasks.image_input import Color, ImageInput
from lprc.core.tasks.task import Task

Part: TypeAlias = Literal["preprocessing", "postprocessing"]

PARTS: tuple[Part, ...] = ("preprocessing", "postprocessing")


def preprocessing_text(image: ImageInput, source: Color, *, center: bool = False) -> str:
    """Pipeline text of a pass behind which a graph takes bytes, NHWC, of the network's size.

    Args:
        image: How images become the network's input.
        source: The order of colours in which they come.
        center: Whether 128 is subtracted in front of the network, for quantisation to int8 alone.
    """
    options = {
        "mean": ",".join(map(repr, image.mean)),
        "scale": ",".join(map(repr, image.scale)),
        "network": image.layout,
    }
    if image.color != "GRAY":
        options |= {"color": image.color, "source": source}
    if center:
        options["center"] = "true"
    return _text("embed-preprocessing", options)


def postprocessing_text(task: Task) -> str:
    """Pipeline text of a pass behind which a graph gives answers in place of scores.

    Raises:
        DataError: The task's answers can't be computed in a graph.
    """
    options = task.answer_in_graph()
    if options is None:
        raise DataError(
            f"the answers of task '{task.name}' can't be computed in the graph",
            where="--embed postprocessing",
            hint="leave it out",
        )
    return _text("embed-postprocessing", options)


def embedded(task: Task, source: Color) -> Task:
    """The task of a graph that takes bytes in that order of colours."""
    image = task.input
    color = image.color if image.color == "GRAY" else source
    return task.with_input(image.changed(color=color, layout="NHWC", dtype="uint8"))


def _text(name: str, options: dict[str, str]) -> str:
    return f"{name}{{{','.join(f'{key}={value}' for key, value in options.items())}}}"
