"""The contract of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.files.checked import StrictTable
from lprc.core.files.image_listing import list_images
from lprc.core.running.numerics import Arrays
from lprc.core.tasks.confidence import RESAMPLES
from lprc.core.tasks.graph_answer import GraphAnswer, NotInGraphError
from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.image_input import ImageInput
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement

if TYPE_CHECKING:
    import torch
    from PIL import Image

Self = TypeVar("Self", bound="Task")


@dataclass(frozen=True)
class Sample:
    """One labelled thing of a data set.

    Attributes:
        path: Its file.
        truth: What the task compares answers with.
        labels: The files that hold the truth, for hashes.
    """

    path: Path
    truth: Any
    labels: tuple[Path, ...] = ()


class Task(ABC):
    """How images become inputs, outputs answers, and how answers are scored.

    A task is made from a TOML file whose first key, ``task``, is its `kind`. The file's other
    tables are `table`'s.

    Args:
        name: What to call it: the file's stem, or the built-in name.
        table: The file, checked.
    """

    kind: ClassVar[str]
    """What ``task =`` in a file says."""

    table: ClassVar[type[StrictTable]]
    """What a file of this kind holds, besides ``task``."""

    metric: ClassVar[str]
    """What the score is called, for instance ``plate accuracy``; 1 is perfect, 0 the worst."""

    samples: ClassVar[str] = "images"
    """What the samples are called."""

    shares: ClassVar[bool] = False
    """Whether a record is 1 for right and 0 for wrong, and the score their mean."""

    is_placed: ClassVar[bool] = False
    """Whether a truth says where things are in an image, and moves with it."""

    takes_images: ClassVar[bool] = True
    """Whether samples are images of one size, which can share a batch."""

    def __init__(self, name: str, table: StrictTable) -> None:
        self.name = name
        self.settings = table

    # ---- what goes in

    @property
    def input(self) -> ImageInput:
        """How images become inputs.

        Raises:
            DataError: The task's samples are no images.
        """
        given = getattr(self.settings, "input", None)
        if not isinstance(given, ImageInput):
            raise DataError(f"task '{self.name}' takes no images")
        return given

    def with_input(self: Self, changed: ImageInput) -> Self:
        """The same task with another table ``[input]``."""
        return type(self)(self.name, self.settings.model_copy(update={"input": changed}))

    def deployed(self: Self, interface: Interface) -> Self:
        """The task in words that hold for what the artefact of that interface puts out.

        They differ from the file's where answers come out of the graph.
        """
        del interface
        return self

    def unlabelled(self, folder: Path) -> list[Path]:
        """The files of samples without labels, to calibrate with.

        Raises:
            DataError: There are none.
        """
        return list_images(folder)

    @abstractmethod
    def labelled(self, data: Path) -> list[Sample]:
        """The labelled samples in `data`, in an order that does not depend on the file system.

        Raises:
            DataError: Labels or files that can't be used.
        """

    def prepare(self, path: Path, interface: Interface) -> tuple[Arrays, Placement | None]:
        """One sample as inputs by name, without a batch axis, and where its image lies in them.

        Raises:
            DataError: It can't be read.
        """
        array, place = self.input.read(path)
        return {interface.image_input: array}, place

    # ---- what comes out

    @abstractmethod
    def answers(
        self, outputs: Mapping[str, NDArray[Any]], places: Sequence[Placement | None]
    ) -> list[Any]:
        """The answer for each of the first samples of a batch, one for each of `places`.

        Args:
            outputs: By name, in the model's order.
            places: Where each sample's image lies in its input.

        Raises:
            DataError: The outputs are not those of such a model.
        """

    @abstractmethod
    def judge(self, answer: Any, truth: Any) -> Any:
        """What is remembered of an answer; `combine` makes the score of many.

        With `shares` the first number of an array is 1 for right and 0 for wrong.
        """

    @abstractmethod
    def combine(self, records: Sequence[Any]) -> float:
        """The score of samples, from what `judge` gave for each."""

    def resamples(self, records: Sequence[Any]) -> int:
        """How many sets of samples a bootstrap draws: fewer where `combine` takes long."""
        del records
        return RESAMPLES

    def details(self, records: Sequence[Any]) -> dict[str, Any]:
        """More than the score, as JSON data; for instance the score of each class."""
        del records
        return {}

    def text(self, answer: Any) -> str:
        """An answer, or a truth, in one line."""
        return str(answer)

    def document(self, answer: Any) -> Any:
        """An answer as JSON data."""
        return self.text(answer)

    def confidences(self, outputs: Mapping[str, NDArray[Any]]) -> list[list[float]] | None:
        """The probability of each part of each sample's answer, for instance of its characters.

        Args:
            outputs: As of `answers`.

        Returns:
            0 to 1, one list a sample; None where nothing tells.
        """
        del outputs
        return None

    def picture(self, path: Path, answer: Any) -> Image.Image:
        """A sample with an answer or a truth drawn into it, as far as that can be drawn.

        Raises:
            DataError: The file can't be read.
        """
        del answer
        return read_image(path)

    def answer_in_graph(self, interface: Interface) -> GraphAnswer:
        """The passes behind which a graph gives answers, for instance ``embed-postprocessing``.

        `answers` reads what comes out then, too.

        Args:
            interface: Of the model.

        Raises:
            NotInGraphError: No passes compute them.
            DataError: The model's outputs are not the task's.
            RunError: The model does not run, where its outputs must be seen.
        """
        del interface
        raise NotInGraphError(f"no passes compute those of kind '{self.kind}'")

    # ---- fitting a model

    @classmethod
    @abstractmethod
    def like(cls, interface: Interface) -> dict[str, Any]:
        """A first file for a model, as TOML data without ``task``.

        Raises:
            DataError: It is no model for such a task.
        """

    def recognizes(self, interface: Interface) -> bool:
        """Whether a model is evidently one for just this task; False where that can't be told."""
        del interface
        return False

    def fitted(self: Self, interface: Interface) -> Self:
        """The task for one model: with the layout and element type of its input.

        An input of unsigned bytes takes pixels as they are: mean and scale are in the graph.

        Raises:
            DataError: The model takes something else.
        """
        if not self.takes_images:
            return self
        name = interface.image_input
        dtype = str(interface.dtypes[name])
        if dtype not in ("float32", "float16", "uint8"):
            raise DataError(
                f"input '{name}' is {dtype}, and images are float32, float16 or uint8",
                where=interface.where,
                hint="export the model with a float32 input",
            )
        task = self.with_input(self.input.changed(dtype=dtype, layout=interface.layout))
        shape, wanted = interface.inputs[name], task.input.shape
        if any(has not in (None, want) for has, want in zip(shape[1:], wanted, strict=True)):
            raise DataError(
                f"takes images of {list(shape[1:])}, not {list(wanted)}",
                where=interface.where,
                hint=f"--task names one with images of another size than '{self.name}'",
            )
        return task

    # ---- training

    def moved(
        self, path: Path, truth: Any, interface: Interface, generator: np.random.Generator
    ) -> tuple[Arrays, Any] | None:
        """A labelled sample as another camera might have taken it, the truth moved with it.

        Args:
            path: The sample's file.
            truth: Of `labelled`.
            interface: The model's.
            generator: Decides how.

        Returns:
            Inputs as of `prepare`, and a truth that `loss` takes; None where a truth stays the same
            however the image is moved, or can't be moved.

        Raises:
            DataError: A file that can't be read.
        """
        del path, truth, interface, generator
        return None

    def loss(self, outputs: Mapping[str, torch.Tensor], truths: Sequence[Any]) -> torch.Tensor:
        """What training makes small, with labels.

        Args:
            outputs: By name, float32, with a batch axis.
            truths: Of the batch's samples.

        Raises:
            DataError: The task has no such loss, or labels do not fit the outputs.
        """
        del outputs, truths
        raise DataError(
            f"a task of kind '{self.kind}' has no loss on labels",
            hint="fine-tune by distillation: --loss distill",
        )


def fixed_batch(array: NDArray[Any], size: int) -> NDArray[Any]:
    """A batch filled up with its last sample to `size`."""
    missing = size - len(array)
    if missing <= 0:
        return array
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
