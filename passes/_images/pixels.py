"""Pictures of bytes as a network's input and back: what `embed-preprocessing` promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lprc.passes._images.resizing import Resizing

Color = Literal["RGB", "BGR"]
Layout = Literal["NHWC", "NCHW"]

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True)
class Pixels:
    """How bytes become numbers: ``(byte - mean) * scale``, in another order and layout.

    Attributes:
        mean: Subtracted; one number, or one for each channel in the network's order.
        scale: Multiplied with afterwards; likewise.
        reverse: Whether the network takes its channels in the opposite order.
        layout: Of the pictures.
        network: Of the network's input.
        resizing: How pictures get the network's size; None where they have it.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    reverse: bool
    layout: Layout
    network: Layout
    resizing: Resizing | None = None

    def as_input(self, pictures: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """What the network takes of `pictures` [N, …], in float64 and then as `dtype`."""
        channels_last = self._channels_last(pictures, self.layout).astype(np.float64)
        if self.resizing is not None:
            channels_last = self.resizing.apply(channels_last)
        if self.reverse:
            channels_last = channels_last[..., ::-1]
        numbers = (channels_last - np.array(self.mean)) * np.array(self.scale)
        return np.ascontiguousarray(self._of_layout(numbers, self.network), dtype)

    def as_pictures(self, network_input: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """The pictures that come nearest to a network's input [N, …].

        They are the very ones that it was made of, where it was made of bytes in this way.
        """
        numbers = self._channels_last(network_input, self.network).astype(np.float64)
        values = np.clip(np.rint(numbers / np.array(self.scale) + np.array(self.mean)), 0, 255)
        if self.reverse:
            values = values[..., ::-1]
        if self.resizing is not None:
            values = self.resizing.enlarged(values)
        return np.ascontiguousarray(self._of_layout(values, self.layout), dtype)

    @staticmethod
    def _channels_last(array: NDArray[Any], layout: Layout) -> NDArray[Any]:
        return array if layout == "NHWC" else array.transpose(TO_NHWC)

    @staticmethod
    def _of_layout(channels_last: NDArray[Any], layout: Layout) -> NDArray[Any]:
        return channels_last if layout == "NHWC" else channels_last.transpose(TO_NCHW)
