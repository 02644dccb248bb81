"""Activations while a module is packed.

Packed activations lie in memory as [N, H, columns, depth]: depth is the number of channels, rounded
up to 16, columns the width, sometimes rounded up so that convolutions find a good tile. Each
logical channel has a physical one; the others hold finite numbers of no meaning. Quantised ones are
uint8: the integer of ONNX plus 128 where that is int8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx import if_then_else

from lprc.targets.tvm_backend.kernels.functions import number
from lprc.targets.tvm_backend.kernels.windows import Read
from lprc.targets.tvm_backend.machine import BLOCK

Shape = tuple[int, int, int, int]
Reader = Callable[[Sequence[Any], "Read | None"], Read]
"""Given the tensors of the sources and what the root gives: how to read the value."""


@dataclass(frozen=True)
class Quantisation:
    """Of a whole activation: value = (stored − offset − zero point) * scale."""

    scale: float
    zero_point: int
    dtype: str

    @property
    def offset(self) -> int:
        """The number added to the integer of ONNX to store it as uint8."""
        return 128 if self.dtype == "int8" else 0

    @property
    def stored_zero(self) -> int:
        """The stored integer of zero."""
        return self.zero_point + self.offset


@dataclass(frozen=True, eq=False)
class Root:
    """A kernel that is not emitted yet, so that what follows can be computed in it.

    Attributes:
        kind: Its ``lprc.kind``.
        sources: The buffers that it reads, as Relax expressions.
        stage: Given their tensors: how to read its result, float32 or stored uint8.
        columns: Of its result.
        depth: Of its result.
    """

    kind: str
    sources: tuple[Any, ...]
    stage: Callable[[Sequence[Any]], Read]
    columns: int
    depth: int


@dataclass(frozen=True, eq=False)
class Packed:
    """An activation of lprc's own kernels, in memory or to be computed where it is read.

    Attributes:
        shape: N, C, H, W.
        channels: The physical channel of each logical one.
        depth: Physical channels that `read` knows.
        sources: Relax expressions that `read` wants the tensors of.
        read: The stored value, float32 or uint8.
        quantisation: Of uint8.
        root: The kernel that it is computed in, if one is pending.
        columns: Of the buffer, where it is one: the only source, as it is.
        cheap: Whether reading it twice costs little.
        rank: 4, or 2 for an ONNX value [N, C] (H and W are 1).
        integers: Whether the ONNX value is QuantizeLinear's, rather than the numbers it stands for.
    """

    shape: Shape
    channels: tuple[int, ...]
    depth: int
    sources: tuple[Any, ...]
    read: Reader
    quantisation: Quantisation | None = None
    root: Root | None = None
    columns: int | None = None
    cheap: bool = True
    rank: int = 4
    integers: bool = False

    def floats(self, tensors: Sequence[Any], root: Read | None) -> Read:
        """How to read its float32 value."""
        read, quantisation = self.read(tensors, root), self.quantisation
        if quantisation is None:
            return read
        zero, scale = number(quantisation.stored_zero), number(quantisation.scale)
        return lambda *at: (read(*at).astype("float32") - zero) * scale

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, eq=False)
class Divided:
    """A packed activation [N, C, H, W] that is seen as [N, A, B, H, W].

    Attributes:
        value: The activation.
        places: [A, B]: its logical channels.
    """

    value: Packed
    places: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Plain:
    """A Relax expression in its ONNX layout."""

    expression: Any


@dataclass(frozen=True, eq=False)
class Integers:
    """A constant behind DequantizeLinear.

    Attributes:
        values: Integers.
        scale: A scalar, or one number for each index of `axis`.
        zero_point: Likewise.
        axis: Of the scales.
    """

    values: NDArray[Any]
    scale: NDArray[Any]
    zero_point: NDArray[Any]
    axis: int

    def spread(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Scales or zero points, to be broadcast against the values."""
        if numbers.size == 1:
            return numbers.reshape(())
        shape = [1] * self.values.ndim
        shape[self.axis] = numbers.size
        return numbers.reshape(shape)

    def floats(self) -> NDArray[Any]:
        """The float32 array."""
        centred = self.values.astype(np.float32) - self.spread(self.zero_point).astype(np.float32)
        return np.asarray(centred * self.spread(self.scale), np.float32)

    def centred(self) -> NDArray[Any]:
        """The integers less their zero points, int32."""
        return self.values.astype(np.int32) - self.spread(self.zero_point).astype(np.int32)


Value = Packed | Divided | Plain | Integers | list["Packed | Plain"]


def of_tensors(make: Callable[[Sequence[Any]], Read]) -> Reader:
    """A value that is read from its sources."""
    return lambda tensors, _root: make(tensors)


def of_root(make: Callable[[Read], Read]) -> Reader:
    """A value that is read from the pending kernel."""

    def reader(_tensors: Sequence[Any], root: Read | None) -> Read:
        assert root is not None
        return make(root)

    return reader


def rounded_up(number: int, multiple: int = BLOCK) -> int:
    """The next multiple."""
    return -(-number // multiple) * multiple


def buffer(
    expression: Any,
    shape: Shape,
    channels: tuple[int, ...],
    depth: int,
    columns: int,
    quantisation: Quantisation | None = None,
    rank: int = 4,
) -> Packed:
    """An activation in memory: `expression` is [N, H, columns, depth]."""

    read = of_tensors(lambda tensors: lambda *at: tensors[0][at])
    return Packed(
        shape, channels, depth, (expression,), read, quantisation, columns=columns, rank=rank
    )


def segments(channels: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first logical, first physical, count) of each run of neighbours."""
    runs, begin = [], 0
    for at in range(1, len(channels) + 1):
        if at == len(channels) or channels[at] != channels[at - 1] + 1:
            runs.append((begin, channels[begin], at - begin))
            begin = at
    return runs


def merged(values: Sequence[Packed]) -> tuple[tuple[Any, ...], list[list[int]]]:
    """All sources once, and for each value the indices of its own among them."""
    sources: list[Any] = []
    rows = []
    for value in values:
        row = []
        for source in value.sources:
            place = next(
                (at for at, earlier in enumerate(sources) if earlier.same_as(source)), None
            )
            if place is None:
                place = len(sources)
                sources.append(source)
            row.append(place)
        rows.append(row)
    return tuple(sources), rows


def picked(tensors: Sequence[Any], row: Sequence[int]) -> list[Any]:
    """The tensors of one value, of those of all."""
    return [tensors[index] for index in row]


def mapped(value: Packed, channel: Callable[[Read], Read], **changes: Any) -> Packed:
    """A view of an activation that is not pending: `channel` turns its reading into the view's."""
    assert value.root is None

    def read(tensors: Sequence[Any], root: Read | None) -> Read:
        return channel(value.read(tensors, root))

    return replace(value, read=read, columns=None, **changes)


def chosen(index: Any, pieces: Sequence[tuple[int, Callable[[Any], Any]]]) -> Any:
    """The value of the last piece that begins at or before `index`; pieces are sorted."""
    found = pieces[-1][1](index)
    for (_, value), (end, _) in reversed(list(pairwise(pieces))):
        # Not `index >= end`, which TVM does not simplify where index is `block * 16 + lane`.
        found = if_then_else(index < end, value(index), found)
    return found
