"""Activations and constants brought into each other's physical layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx

from lprc.targets.tvm_backend.kernels.windows import Read
from lprc.targets.tvm_backend.packed import Packed, Shape, chosen, of_tensors, segments
from lprc.targets.tvm_backend.packing.packer import MANY, Packer


def constant(packer: Packer, array: NDArray[Any], like: Packed) -> Packed | None:
    """A constant, broadcast against an activation as ONNX does, in its physical layout.

    Returns:
        None where it has more dimensions than the activation.
    """
    if array.ndim > like.rank:
        return None
    shape = [1] * (like.rank - array.ndim) + list(array.shape)
    values = array.astype(np.float32).reshape([*shape, 1, 1] if like.rank == 2 else shape)
    n, c, h, w = map(int, values.shape)
    if values.size == 1:
        scalar = tirx.const(float(values.reshape(())), "float32")
        only = of_tensors(lambda _: lambda *_at: scalar)
        return Packed((1, 1, 1, 1), (0,), 1, (), only, rank=like.rank)
    if c > 1:
        laid = np.zeros((n, h, w, like.depth), np.float32)
        laid[..., list(like.channels)] = values.transpose(0, 2, 3, 1)
        channels, depth = like.channels, like.depth
    else:
        laid, channels, depth = values.transpose(0, 2, 3, 1), (0,), 1
    read = of_tensors(lambda tensors: lambda *at: tensors[0][at])
    return Packed((n, c, h, w), channels, depth, (packer.constant(laid),), read, rank=like.rank)


def spread(packer: Packer, value: Packed, like: Packed, shape: Shape) -> Packed:
    """An activation that is read at the positions of another one, of `shape`.

    Dimensions of one element are repeated, and channels moved to the other's places. It is not
    pending.
    """
    n, c, h, w = value.shape
    columns = like.root.columns if like.root is not None else w
    sources, channel = value.sources, _channels(value, like)
    if isinstance(channel, np.ndarray):
        sources = (*sources, packer.constant(channel))

    def read(tensors: Sequence[Any], root: Read | None) -> Read:
        inner = value.read(tensors[: len(value.sources)], root)

        def at(i: Any, y: Any, x: Any, k: Any) -> Any:
            i, y = (i if n > 1 else 0), (y if h > 1 else 0)
            if w == 1:
                x = 0
            elif columns > w:
                x = tirx.min(x, w - 1)

            def moved(by: int, k: Any) -> Any:
                return inner(i, y, x, k + by)

            if c == 1:
                return inner(i, y, x, value.channels[0])
            if isinstance(channel, np.ndarray):
                return inner(i, y, x, tensors[-1][k])
            return chosen(k, [(begin, partial(moved, by)) for begin, by in channel])

        return at

    return replace(
        value,
        shape=shape,
        channels=like.channels,
        depth=like.depth,
        sources=sources,
        read=read,
        columns=None,
    )


def _channels(value: Packed, like: Packed) -> list[tuple[int, int]] | NDArray[np.int32]:
    """Where a physical channel of `like` is in `value`.

    Returns:
        (begin, how far the channel is moved) of each run; a table, where there are many.
    """
    same = value.channels == like.channels and like.depth <= value.depth
    if value.shape[1] == 1 or same:
        return [(0, 0)]
    places = _places(value, like)
    runs = [(begin, place - begin) for begin, place, _ in segments(places)]
    return runs if len(runs) <= MANY else np.array(places, np.int32)


def _places(value: Packed, like: Packed) -> list[int]:
    """The physical channel in `value` for each one of `like`; any, where it has no meaning."""
    places = [-1] * like.depth
    for mine, theirs in zip(value.channels, like.channels, strict=True):
        places[theirs] = mine
    for at, place in enumerate(places):
        if place < 0:  # go on as before, as far as there are channels
            follows = places[at - 1] + 1 if at else value.channels[0]
            places[at] = follows if follows < value.depth else value.channels[0]
    return places


def alive(packed: Packed, channel: Any) -> Any:
    """Whether a physical channel has a meaning; None where all have."""
    runs = segments(packed.channels)
    if runs == [(0, 0, packed.depth)]:
        return None
    parts = [tirx.all(channel >= at, channel < at + count) for _, at, count in runs]
    return parts[0] if len(parts) == 1 else tirx.any(*parts)
