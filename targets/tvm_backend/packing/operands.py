"""The input of a kernel with windows: read as it is, or through a padded copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from lprc.targets.tvm_backend.kernels.functions import number
from lprc.targets.tvm_backend.kernels.windows import Read, Window, padded
from lprc.targets.tvm_backend.machine import BLOCK
from lprc.targets.tvm_backend.packed import Packed, rounded_up
from lprc.targets.tvm_backend.packing.packer import Packer


@dataclass(frozen=True)
class Operand:
    """An input.

    Attributes:
        value: Not pending.
        integer: Whether the stored uint8 is read; else float32.
        base: The physical channel that the kernel calls 0.
        count: Physical channels from there to the last one with a meaning.
    """

    value: Packed
    integer: bool
    base: int
    count: int

    @classmethod
    def of(cls, packer: Packer, value: Packed, *, integer: bool) -> Operand:
        """Of an activation, whose pending kernel is emitted."""
        value = packer.stored(value) if value.root is not None else value
        base = min(value.channels) // BLOCK * BLOCK
        return cls(value, integer, base, max(value.channels) + 1 - base)

    @property
    def channels(self) -> list[int]:
        """Where the kernel finds each logical channel."""
        return [each - self.base for each in self.value.channels]

    def reading(
        self,
        tensors: Sequence[Any],
        window: Window,
        outputs: tuple[int, int],
        *,
        fill: Any = None,
        multiple: int = 1,
        direct: bool = False,
    ) -> Read:
        """How the kernel reads it, padded.

        Args:
            tensors: Of the sources.
            window: The window that reads it.
            outputs: Rows and columns of the kernel's result.
            fill: Padding, instead of zero.
            multiple: How many channels are read at once.
            direct: Whether a copy does not pay although it is not in memory.
        """
        value, base = self.value, self.base
        n, _, h, w = value.shape
        read = value.read(tensors, None) if self.integer else value.floats(tensors, None)
        if fill is None:
            quantisation = value.quantisation
            zero = quantisation.stored_zero if self.integer and quantisation else 0
            fill = tirx.const(zero, "uint8") if self.integer else number(0.0)
        columns = w if value.columns is None else value.columns
        inside = (
            not any(window.pads)
            and window.reach(0, outputs[0]) <= h
            and window.reach(1, outputs[1]) <= columns
            and rounded_up(self.count, multiple) <= value.depth - base
        )
        stored = value.columns is not None and (value.quantisation is not None) == self.integer
        if inside and (stored or direct):
            return lambda i, y, x, k: read(i, y, x, base + k)
        left = value.depth - base
        depth = rounded_up(self.count, multiple)
        if rounded_up(depth) <= left:
            depth = rounded_up(depth)

        def at(i: Any, y: Any, x: Any, k: Any) -> Any:
            if depth <= left:
                return read(i, y, x, base + k)
            return tirx.if_then_else(k < left, read(i, y, x, base + k), fill)

        copy = padded(at, (n, h, w), window, outputs, depth, fill)
        return lambda *index: copy[index]
