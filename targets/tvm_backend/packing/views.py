"""Operators that only say where a number is: computed where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from tvm import relax, tirx

from lprc.targets.tvm_backend.kernels.windows import Read
from lprc.targets.tvm_backend.packed import (
    Divided,
    Packed,
    Value,
    chosen,
    mapped,
    merged,
    of_tensors,
    picked,
    rounded_up,
    segments,
)
from lprc.targets.tvm_backend.packing import constants
from lprc.targets.tvm_backend.packing.expressions import numbers, shape_of
from lprc.targets.tvm_backend.packing.packer import MANY, Handler, Packer


def strided_slice(packer: Packer, call: Any) -> Value | None:
    """Slice: of channels it only forgets some; of rows and columns it reads others."""
    value = packer.take(call.args[0])
    if not isinstance(value, Packed) or not all(
        isinstance(argument, relax.Tuple) for argument in call.args[1:4]
    ):
        return None
    axes, begins, ends = ([int(k) for k in argument.fields] for argument in call.args[1:4])
    steps = [int(k) for k in call.args[4].fields] if len(call.args) > 4 else [1] * len(axes)
    slices = [slice(None)] * 4
    for axis, begin, end, step in zip(axes, begins, ends, steps, strict=True):
        slices[axis % value.rank] = slice(begin, end, step)
    if any((axis_slice.step or 1) < 1 for axis_slice in slices):
        return None
    return sliced(packer, value, slices)


def sliced(packer: Packer, value: Packed, slices: Sequence[slice]) -> Packed:
    """The activation, sliced as numpy would [N, C, H, W]."""
    ranges = [
        range(*axis_slice.indices(size))
        for axis_slice, size in zip(slices, value.shape, strict=True)
    ]
    channels = tuple(value.channels[at] for at in ranges[1])
    n, c, h, w = (len(axis_range) for axis_range in ranges)
    whole = all(ranges[axis] == range(value.shape[axis]) for axis in (0, 2, 3))
    if whole:
        return replace(value, shape=(n, c, h, w), channels=channels)
    images, rows, columns = (ranges[axis] for axis in (0, 2, 3))

    def moved(read: Read) -> Read:
        def at(i: Any, y: Any, x: Any, k: Any) -> Any:
            return read(
                i * images.step + images.start,
                y * rows.step + rows.start,
                x * columns.step + columns.start,
                k,
            )

        return at

    return mapped(packer.readable(value), moved, shape=(n, c, h, w), channels=channels)


def split(packer: Packer, call: Any) -> Value | None:
    """Split along channels, rows or columns."""
    value = packer.take(call.args[0])
    if not isinstance(value, Packed):
        return None
    axis = int(call.attrs.axis) % value.rank
    places = call.attrs.indices_or_sections
    size = value.shape[axis]
    if isinstance(places, int) or hasattr(places, "value"):
        sections = int(places)
        part = -(-size // sections)
        begins = [part * section for section in range(1, sections)]
    else:
        begins = numbers(places)
    value = packer.stored(value) if value.root is not None else value
    parts: list[Any] = []
    for begin, end in zip([0, *begins], [*begins, size], strict=True):
        slices = [slice(None)] * 4
        slices[axis] = slice(begin, end)
        parts.append(sliced(packer, value, slices))
    return parts


def concat(packer: Packer, call: Any) -> Value | None:
    """Concat along channels; integers stay so where all are of one scale."""
    fields = call.args[0].fields if isinstance(call.args[0], relax.Tuple) else None
    shape = shape_of(call)
    if fields is None or shape is None or len(shape) != 4 or int(call.attrs.axis) % 4 != 1:
        return None
    values = [packer.take(field) for field in fields]
    if not any(isinstance(value, Packed) for value in values):
        return None
    parts = [packer.packed(value) for value in values]
    if any(part is None or part.rank != 4 for part in parts):
        return None
    stored_parts = [
        packer.stored(part) if part.root is not None else part for part in parts if part
    ]
    return joined(stored_parts, shape)


def joined(parts: Sequence[Packed], shape: tuple[int, ...]) -> Packed:
    """Activations with one's channels behind the other's: whole blocks where little is lost."""
    n, c, h, w = shape
    first = parts[0].quantisation
    quantisation = first if all(part.quantisation == first for part in parts) else None
    sources, rows = merged(parts)
    cheap = all(part.cheap for part in parts)
    whole = sum(rounded_up(part.depth) for part in parts) <= 1.5 * rounded_up(c)
    pieces: list[tuple[int, int, int]] = []  # (begin, part, how far its channels are moved)
    channels: list[int] = []
    begin = 0
    for index, part in enumerate(parts):
        if whole or len(segments(part.channels)) > MANY:
            pieces.append((begin, index, -begin))
            channels += [begin + channel for channel in part.channels]
            begin += rounded_up(part.depth) if whole else part.depth
        else:
            for _, physical, count in segments(part.channels):
                pieces.append((begin, index, physical - begin))
                channels += range(begin, begin + count)
                begin += count

    def reading(tensors: Sequence[Any]) -> Read:
        inner = []
        for part, row in zip(parts, rows, strict=True):
            own = picked(tensors, row)
            kept = part.read(own, None) if quantisation else part.floats(own, None)
            inner.append(_within(kept, part.depth))

        def at(i: Any, y: Any, x: Any, k: Any) -> Any:
            def moved(index: int, by: int, k: Any) -> Any:
                return inner[index](i, y, x, k + by)

            return chosen(k, [(start, partial(moved, index, by)) for start, index, by in pieces])

        return at

    return Packed(
        (n, c, h, w),
        tuple(channels),
        begin,
        sources,
        of_tensors(reading),
        quantisation,
        cheap=cheap,
    )


def _within(read: Read, depth: int) -> Read:
    """Reading that does not go beyond the last physical channel."""
    if depth % 16 == 0:
        return read
    return lambda i, y, x, k: read(i, y, x, tirx.min(k, depth - 1))


def reshape(packer: Packer, call: Any) -> Value | None:
    """Of [N, C, 1, 1] to [N, C] and back nothing is moved."""
    value = packer.take(call.args[0])
    shape = shape_of(call)
    if isinstance(value, Divided):
        return _whole(value, shape)
    if isinstance(value, Packed) and shape is not None:
        divided = _divided(packer, value, shape)
        if divided is not None:
            return divided
        n, c, h, w = value.shape
        if h == w == 1 and shape in ((n, c), (n, c, 1, 1)):
            return replace(value, rank=len(shape))
        if value.rank == 4 and shape == value.shape:
            return value
        return None
    return constants.reshaped(packer, call)


def _divided(packer: Packer, value: Packed, shape: tuple[int, ...]) -> Divided | None:
    """[N, C, H, W] as [N, A, B, H, W], with which channels are shuffled."""
    n, c, h, w = value.shape
    if len(shape) != 5 or (shape[0], *shape[3:]) != (n, h, w) or shape[1] * shape[2] != c:
        return None
    return Divided(packer.readable(value), np.arange(c).reshape(shape[1:3]))


def _whole(value: Divided, shape: tuple[int, ...] | None) -> Packed | None:
    n, c, h, w = value.value.shape
    if shape != (n, c, h, w):
        return None
    channels = tuple(value.value.channels[at] for at in value.places.ravel())
    return replace(value.value, channels=channels)


def permute(packer: Packer, call: Any) -> Value | None:
    """Transpose of a constant, or of the two dimensions that channels were divided into."""
    value = packer.take(call.args[0])
    if not isinstance(value, Divided):
        return constants.permute(packer, call)
    axes = call.attrs.axes
    if axes is None or numbers(axes) != [0, 2, 1, 3, 4]:
        return None
    return Divided(value.value, value.places.T)


def resize(packer: Packer, call: Any) -> Value | None:
    """Resize by whole factors to nearest neighbours."""
    value, shape = packer.take(call.args[0]), shape_of(call)
    if not isinstance(value, Packed) or shape is None or value.rank != 4:
        return None
    a = call.attrs
    _, _, h, w = value.shape
    factors = shape[2] // h, shape[3] // w
    rounds = (str(a.coordinate_transformation_mode), str(a.rounding_method))
    nearest_modes = (
        ("asymmetric", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("half_pixel", "round"),
    )
    if (
        str(a.method) != "nearest_neighbor"
        or str(a.layout) != "NCHW"
        or (h * factors[0], w * factors[1]) != shape[2:]
        or rounds not in nearest_modes
    ):
        return None
    up, right = factors

    def coarser(read: Read) -> Read:
        return lambda i, y, x, k: read(i, y // up, x // right, k)

    n, c = value.shape[:2]
    return mapped(packer.readable(value), coarser, shape=(n, c, shape[2], shape[3]))


HANDLERS: dict[str, Handler] = {
    "relax.strided_slice": strided_slice,
    "relax.split": split,
    "relax.concat": concat,
    "relax.reshape": reshape,
    "relax.squeeze": reshape,
    "relax.expand_dims": reshape,
    "relax.flatten": reshape,
    "relax.image.resize2d": resize,
    "relax.permute_dims": permute,
}
