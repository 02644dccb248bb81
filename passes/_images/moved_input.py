"""Samples of an input whose elements come in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lprc.core.passing.translation import Sample, Translation
from lprc.core.running.numerics import Arrays


@dataclass(frozen=True)
class MovedInputs(Translation):
    """Some inputs have their axes, or the indices of one axis, in another order.

    Attributes:
        permutations: By input, the axes of the old one in the order of the new one.
        reversed_axes: By input, the axis whose indices run the other way.
    """

    permutations: Mapping[str, Sequence[int]]
    reversed_axes: Mapping[str, int]

    def inputs(self, inputs: Arrays) -> Sample:
        """The arrays in the new order."""
        return {
            name: self._turned(name, array.transpose(self.permutations[name]))
            if name in self.permutations
            else self._turned(name, array)
            for name, array in inputs.items()
        }

    def restored(self, inputs: Arrays) -> Sample:
        """The arrays in the old order."""
        turned = {name: self._turned(name, array) for name, array in inputs.items()}
        return {
            name: np.ascontiguousarray(array.transpose(np.argsort(self.permutations[name])))
            if name in self.permutations
            else array
            for name, array in turned.items()
        }

    def _turned(self, name: str, array: np.ndarray) -> np.ndarray:
        axis = self.reversed_axes.get(name)
        return np.ascontiguousarray(array if axis is None else np.flip(array, axis))
