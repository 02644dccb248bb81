"""Samples of a network's input as the pictures that it takes once preprocessing is inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.core.passing.translation import Sample, Translation
from lprc.core.running.numerics import Arrays
from lprc.passes._images.pixels import Pixels


@dataclass(frozen=True)
class ImageTranslation(Translation):
    """One input becomes pictures; the others, and all outputs, stay.

    Attributes:
        name: The input.
        pixels: How the pictures become the network's input.
        taken: The type of the pictures' elements.
        computed: The type of the network's input.
    """

    name: str
    pixels: Pixels
    taken: Any
    computed: Any

    def inputs(self, inputs: Arrays) -> Sample:
        """The pictures nearest to the network's input; its own, where it comes from pictures."""
        return self._with(inputs, self.pixels.as_pictures(inputs[self.name], self.taken))

    def restored(self, inputs: Arrays) -> Sample:
        """The network's input, preprocessed in numpy."""
        return self._with(inputs, self.pixels.as_input(inputs[self.name], self.computed))

    def _with(self, inputs: Arrays, array: NDArray[Any]) -> Sample:
        return {**{name: np.asarray(own) for name, own in inputs.items()}, self.name: array}
