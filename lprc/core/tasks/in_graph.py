"""The passes that move what a task does around a network into the network's graph."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lprc.core.errors import DataError
from lprc.core.options import with_options
from lprc.core.tasks.graph_answer import NotInGraphError, OptionTexts
from lprc.core.tasks.image_input import Color, ImageInput
from lprc.core.tasks.interface import Interface
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
    options: OptionTexts = {
        "mean": tuple(map(repr, image.mean)),
        "scale": tuple(map(repr, image.scale)),
        "network": image.layout,
    }
    if image.color != "GRAY":
        options |= {"color": image.color, "source": source}
    if center:
        options["center"] = "true"
    return _text("embed-preprocessing", options)


def postprocessing_text(task: Task, interface: Interface) -> str:
    """Pipeline text of passes behind which a graph gives answers in place of scores.

    Args:
        task: Of the network.
        interface: What the network takes and gives.

    Raises:
        DataError: The task's answers can't be computed in a graph.
        RunError: The network does not run, where its outputs must be seen.
    """
    try:
        passes = task.answer_in_graph(interface)
    except NotInGraphError as error:
        raise DataError(
            f"the answers of task '{task.name}' can't be computed in the graph: {error}",
            where="--embed postprocessing",
            hint="leave it out",
        ) from error
    return ",".join(_text(name, options) for name, options in passes.items())


def embedded(task: Task, source: Color) -> Task:
    """The task of a graph that takes bytes in that order of colours."""
    image = task.input
    color = image.color if image.color == "GRAY" else source
    return task.with_input(image.changed(color=color, layout="NHWC", dtype="uint8"))


def _text(name: str, options: OptionTexts) -> str:
    values = {key: (value,) if isinstance(value, str) else value for key, value in options.items()}
    return with_options(name, values)
