"""What a model takes and gives, as far as a task must know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.running.numerics import Arrays

Shape = tuple[int | None, ...]
Run = Callable[[Arrays], Mapping[str, NDArray[Any]]]

_COLOUR_AXES = {1: "NCHW", 3: "NHWC"}


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs.

    Attributes:
        inputs: Shapes by name; None where a size is symbolic.
        dtypes: Element types of the inputs by name.
        outputs: The names of the outputs.
        where: What to call the model in errors.
        run: Gives the outputs by name; asked only where a task must see what comes out.
    """

    inputs: Mapping[str, Shape]
    dtypes: Mapping[str, np.dtype[Any]]
    outputs: Sequence[str]
    where: str
    run: Run = field(compare=False, repr=False)

    def __str__(self) -> str:
        """For instance ``inputs 'image' [?, 3, 24, 94] and outputs 'logits'``."""
        inputs = ", ".join(
            f"'{name}' [{', '.join('?' if size is None else str(size) for size in shape)}]"
            for name, shape in self.inputs.items()
        )
        outputs = ", ".join(f"'{name}'" for name in self.outputs)
        return f"inputs {inputs or 'none'} and outputs {outputs}"

    @property
    def image_input(self) -> str:
        """The name of the one input, which takes images.

        Raises:
            DataError: There are several inputs, or it takes something else.
        """
        images = [name for name, shape in self.inputs.items() if len(shape) == 4]
        if len(images) != 1 or len(self.inputs) != 1:
            raise DataError(
                f"has {len(self.inputs)} inputs, of which {len(images)} take images",
                where=self.where,
                hint="--task tensors judges a model by arrays: folders of .npz files",
            )
        return images[0]

    @property
    def fixed_batch(self) -> int | None:
        """The batch size of its image input; None where it is symbolic."""
        return self.inputs[self.image_input][0]

    @property
    def layout(self) -> str:
        """``NHWC`` where the image input's last axis is the one of colours, else ``NCHW``."""
        shape = self.inputs[self.image_input]
        colours = [axis for axis in _COLOUR_AXES if shape[axis] in (1, 3)]
        return _COLOUR_AXES[colours[0]] if len(colours) == 1 else "NCHW"

    @cached_property
    def output_arrays(self) -> Mapping[str, NDArray[Any]]:
        """What comes out for an image that is 0 everywhere.

        Raises:
            DataError: The input's size is not fixed.
            RunError: The model does not run.
        """
        name = self.image_input
        shape = self.inputs[name]
        if None in shape[1:]:
            raise DataError(
                f"input '{name}' has no fixed size",
                where=self.where,
                hint="--input-shape fixes it; or name a task file that says how large images are",
            )
        return self.outputs_for((shape[0] or 1, *(size or 1 for size in shape[1:])))

    def outputs_for(self, shape: tuple[int, ...]) -> Mapping[str, NDArray[Any]]:
        """What comes out for an image input of that shape that is 0 everywhere.

        Raises:
            RunError: The model does not run.
        """
        name = self.image_input
        return self.run({name: np.zeros(shape, self.dtypes[name])})
