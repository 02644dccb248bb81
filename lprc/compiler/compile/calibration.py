"""Real images as inputs of a model, read when they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import onnx_ir as ir
from numpy.typing import NDArray

from lprc.compiler.artifact.build_inputs import images_sha256
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.measure.evaluation import sample_inputs
from lprc.core.errors import DataError
from lprc.core.tasks.task_file import TaskChoice

Sample = dict[str, NDArray[Any]]


class ImageSamples(Sequence[Sample]):
    """A folder of images as samples of a model with one image input; nothing is kept in memory.

    Args:
        folder: Samples as the task reads them; labels are not needed.
        choice: What the model is for. Where nothing is said, the first built-in task whose images
            have the model's size.
        model: Its one input takes the images. A fixed batch is filled with one image.
        where: What to call the model in errors.

    Raises:
        DataError: No images, or a model with other than one input, or one of another size.
    """

    def __init__(self, folder: Path, choice: TaskChoice, model: ir.Model, where: str) -> None:
        self.interface = interface_of_graph(model, where)
        try:
            self.name = self.interface.image_input
        except DataError as error:
            error.hint = "give --calib a folder of .npz files with arrays named as the inputs"
            raise
        self.task = choice.for_images(self.interface)
        self._images = self.task.unlabelled(folder)

    def digest(self) -> str:
        """The SHA-256 of the images and of how they are preprocessed.

        Raises:
            DataError: One can't be read.
        """
        try:
            return images_sha256(self._images, self.task.input)
        except OSError as error:
            raise DataError(
                f"can't be read: {error.strerror}", where=str(error.filename), hint="copy it again"
            ) from error

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """One image as the model takes it, with a batch axis.

        Raises:
            DataError: It can't be read.
        """
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return sample_inputs(self.task, self.interface, self._images[index])
