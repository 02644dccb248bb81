"""ReduceMean, GlobalAveragePool and their like, over rows, columns or whole images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lprc.targets.tvm_backend.kernels.functions import number
from lprc.targets.tvm_backend.kernels.pooling import total
from lprc.targets.tvm_backend.kernels.windows import Read, Window
from lprc.targets.tvm_backend.packed import Packed, Root, Value, of_root, rounded_up, segments
from lprc.targets.tvm_backend.packing.elementwise import unary
from lprc.targets.tvm_backend.packing.expressions import numbers
from lprc.targets.tvm_backend.packing.packer import Handler, Packer
from lprc.targets.tvm_backend.packing.pooling import averages, maxima


def reduced(kind: str, packer: Packer, call: Any) -> Value | None:
    """Mean, sum or maximum."""
    axes = call.attrs.axis
    value = packer.take(call.args[0])
    if axes is None or not isinstance(value, Packed) or value.rank != 4:
        return None
    over = sorted(axis % 4 for axis in numbers(axes))
    _, c, h, w = value.shape
    keeps = bool(call.attrs.keepdims)
    if over == [1, 2, 3] and kind != "max" and keeps:
        return _total(packer, value, 1.0 / (c * h * w) if kind == "mean" else 1.0)
    if not over or not set(over) <= {2, 3} or (not keeps and over != [2, 3]):
        return None
    kernel = (h if 2 in over else 1, w if 3 in over else 1)
    window, outputs = Window(kernel), (h + 1 - kernel[0], w + 1 - kernel[1])
    if kind == "max":
        pooled = maxima(packer, value, window, outputs)
    else:
        pooled = averages(packer, value, window, outputs, padding_counts=False)
        if kind == "sum":
            pooled = unary(pooled, lambda x: x * number(kernel[0] * kernel[1]))
    return pooled if keeps else replace(pooled, rank=2)


def _total(packer: Packer, value: Packed, factor: float) -> Packed:
    """Over rows, columns and channels, for each image."""
    value = packer.stored(value) if value.root is not None else value
    if value.depth % 16:
        value = packer.stored(value)
    n, _, h, w = value.shape
    runs = segments(value.channels)

    def stage(tensors: Sequence[Any]) -> Read:
        summed = total(value.floats(tensors, None), (n, h, w), rounded_up(value.depth), runs)
        return lambda *at: summed[at]

    def scaled(total_read: Read) -> Read:
        return lambda *at: total_read(*at) * number(factor)

    root = Root("total", value.sources, stage, 1, 1)
    return Packed((n, 1, 1, 1), (0,), 1, (), of_root(scaled), root=root)


HANDLERS: dict[str, Handler] = {
    "relax.mean": partial(reduced, "mean"),
    "relax.sum": partial(reduced, "sum"),
    "relax.max": partial(reduced, "max"),
}
