"""Real images as inputs of a model, read when they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.compiler.artifact.build_inputs import images_sha256
from lprc.core.errors import DataError
from lprc.core.graph import editing
from lprc.models.images import load_image
from lprc.models.labels import list_images
from lprc.models.plate_config import BUILTIN, PlateConfig

Sample = dict[str, NDArray[Any]]


class ImageSamples(Sequence[Sample]):
    """A folder of images as samples of a model with one image input; nothing is kept in memory.

    Args:
        folder: Images; labels are not needed.
        plates: Name or file of the plates' configuration; None takes the first built-in one.
        model: Its one input takes the images. A fixed batch is filled with one image.
        where: What to call the model in errors.

    Raises:
        DataError: No images, or a model with other than one input, or one of another size.
    """

    def __init__(self, folder: Path, plates: str | None, model: ir.Model, where: str) -> None:
        inputs = [value for value in model.graph.inputs if not value.is_initializer()]
        if len(inputs) != 1 or inputs[0].name is None:
            raise DataError(
                f"has {len(inputs)} inputs, and --calib gives one image",
                where=where,
                hint="give --calib a folder of .npz files with arrays named as the inputs",
            )
        self._config = PlateConfig.named(plates or BUILTIN[0])
        _check_size(inputs[0], self._config, where)
        self._name = inputs[0].name
        self._batch = editing.dimension(inputs[0], 0) or 1
        self._images = list_images(folder)

    def digest(self) -> str:
        """The SHA-256 of the images and of how they are preprocessed.

        Raises:
            DataError: One can't be read.
        """
        try:
            return images_sha256(self._images, self._config)
        except OSError as error:
            raise DataError(
                f"can't be read: {error.strerror}", where=str(error.filename), hint="copy it again"
            ) from error

    @property
    def config(self) -> PlateConfig:
        """How the images are preprocessed."""
        return self._config

    @property
    def name(self) -> str:
        """The input that takes them."""
        return self._name

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """One image, preprocessed, as float32 [batch, 3, height, width].

        Raises:
            DataError: It can't be read.
        """
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        image = load_image(self._images[index], self._config)[None]
        return {self._name: np.repeat(image, self._batch, axis=0)}


def _check_size(value: ir.Value, config: PlateConfig, where: str) -> None:
    wanted = (3, config.height, config.width)
    sizes = [editing.dimension(value, axis) for axis in (1, 2, 3)]
    if editing.rank(value) != 4:
        raise DataError(
            f"input '{value.name}' does not take images",
            where=where,
            hint="give --calib a folder of .npz files with arrays named as the inputs",
        )
    if any(has is not None and has != want for has, want in zip(sizes, wanted, strict=True)):
        raise DataError(
            f"input '{value.name}' does not take images of {list(wanted)}",
            where=where,
            hint=f"--plates names plates of another size than '{config.name}'",
        )
