"""Scenes of operators that move elements, and of shape arithmetic."""

from __future__ import annotations

import numpy as np

from .maker import FLOATS, DoesNotFit, Maker

END = np.iinfo(np.int64).max


def transpose(m: Maker) -> None:
    value = m.pick()
    axes = [int(axis) for axis in m.rng.permutation(value.rank)]
    if value.rank == 0:
        raise DoesNotFit
    attributes = {} if m.coin(0.3) else {"perm": axes if m.coin(0.6) else sorted(axes)}
    made = m.add("Transpose", [value], **attributes)
    if m.coin(0.6):
        perm = attributes.get("perm", list(reversed(range(value.rank))))
        back = [int(axis) for axis in np.argsort(perm)] if m.coin(0.8) else perm
        m.add("Transpose", [made], perm=back)


def reshape(m: Maker) -> None:
    value = m.pick()
    target = list(value.shape)
    kind = m.choice(["same", "zeros", "minus one", "flat", "split"])
    if kind == "zeros":
        target = [0] * value.rank
    elif kind == "minus one" and target:
        target[m.integer(0, value.rank - 1)] = -1
    elif kind == "flat":
        target = [-1]
    elif kind == "split":
        target = [1, *target]
    attributes = {"allowzero": m.integer(0, 1)} if m.opset >= 14 and m.coin(0.3) else {}
    m.add("Reshape", [value, m.indices(target)], **attributes)


def flatten(m: Maker) -> None:
    value = m.pick()
    low = -value.rank if m.opset >= 11 else 0
    m.add("Flatten", [value], axis=m.integer(low, value.rank))


def squeeze(m: Maker) -> None:
    """Unsqueeze, and then perhaps Squeeze of the same axes or of others."""
    value = m.pick()
    axes = sorted(set(m.rng.integers(0, value.rank + 1, m.integer(1, 2)).tolist()))
    made = _with_axes(m, "Unsqueeze", value, axes, value.rank + len(axes))
    if m.coin(0.7):
        other = axes if m.coin(0.7) else [axis for axis, dim in enumerate(made.shape) if dim == 1]
        _with_axes(m, "Squeeze", made, other, made.rank)


def unsqueeze_squeezed(m: Maker) -> None:
    value = m.pick()
    ones = [axis for axis, dim in enumerate(value.shape) if dim == 1]
    if not ones:
        raise DoesNotFit
    axes = sorted({m.choice(ones) for _ in range(2)})
    made = _with_axes(m, "Squeeze", value, axes, value.rank)
    _with_axes(m, "Unsqueeze", made, axes if m.coin(0.8) else [0] * len(axes), value.rank)


def _with_axes(m: Maker, op_type: str, value, axes, rank):
    if m.opset >= 11 and m.coin(0.3):
        axes = [axis - rank for axis in axes]
    if m.opset >= 13:
        return m.add(op_type, [value, m.indices(axes)])
    return m.add(op_type, [value], axes=axes)


def slice_(m: Maker) -> None:
    value = m.pick(dtypes=None, ranks=[1, 2, 3, 4, 5])
    axes = sorted(set(m.rng.integers(0, value.rank, m.integer(1, 2)).tolist()))
    starts = [m.choice([0, 0, 1, -1, -3, 2, -END, END]) for _ in axes]
    ends = [m.choice([END, END, 2, 3, -1, 100, -100, 0]) for _ in axes]
    if m.opset < 10:
        m.add("Slice", [value], axes=axes, starts=starts, ends=ends)
        return
    steps = [m.choice([1, 1, 1, 2, -1, -2]) for _ in axes]
    if m.coin(0.3):
        axes = [axis - value.rank for axis in axes]
    given_axes = m.indices(axes)
    given_steps = m.indices(steps) if m.coin(0.8) else None
    m.add("Slice", [value, m.indices(starts), m.indices(ends), given_axes, given_steps])


def pad(m: Maker) -> None:
    value = m.pick(ranks=[1, 2, 3, 4])
    pads = [m.choice([0, 0, 0, 1, 2, -1]) if m.coin(0.6) else 0 for _ in range(2 * value.rank)]
    mode = m.choice(["constant", "constant", "constant", "edge", "reflect"])
    if m.opset < 11:
        attributes = {"value": float(m.choice([0.0, 1.5, -1.0]))} if m.coin() else {}
        m.add("Pad", [value], mode=mode, pads=pads, **attributes)
        return
    number = m.scalar(value.dtype) if m.coin() else None
    m.add("Pad", [value, m.indices(pads), number], mode=mode)


def expand(m: Maker) -> None:
    value = m.pick()
    if m.opset < 8:
        raise DoesNotFit
    target = [dim if m.coin(0.7) else 1 for dim in value.shape]
    target = m.choice([target, list(value.shape), [1] * (value.rank + 1), [2, *target]])
    m.add("Expand", [value, m.indices(target)])


def tile(m: Maker) -> None:
    value = m.pick(ranks=[1, 2, 3, 4])
    m.add("Tile", [value, m.indices([m.choice([1, 1, 1, 2, 0]) for _ in value.shape])])


def concat(m: Maker) -> None:
    value = m.pick(ranks=[1, 2, 3, 4, 5])
    others = [m.pick(dtypes=[value.dtype], ranks=[value.rank])] if m.coin(0.6) else []
    low = -value.rank if m.opset >= 11 else 0
    m.add("Concat", [value, *others], axis=m.integer(low, value.rank - 1))


def identity(m: Maker) -> None:
    m.add("Identity", [m.pick()])


def resize(m: Maker) -> None:
    value = m.pick(dtypes=[np.dtype(np.float32)], ranks=[4])
    scales = m.constant(np.array([1, 1, *[m.choice([1, 1, 2]) for _ in range(2)]], np.float32))
    mode = m.choice(["nearest", "linear"])
    if m.opset < 10:
        m.add("Upsample", [value], mode=mode, scales=[1.0, 1.0, 1.0, 1.0])
    elif m.opset < 11:
        m.add("Resize", [value, scales], mode=mode)
    else:
        where = m.choice(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
        roi = m.constant(np.zeros(0, np.float32)) if m.opset < 13 else None
        m.add("Resize", [value, roi, scales], mode=mode, coordinate_transformation_mode=where)


def shape_arithmetic(m: Maker) -> None:
    """A Reshape to the shape of a value, computed."""
    value = m.pick(ranks=[1, 2, 3, 4])
    shape = m.add("Shape", [value])
    gathered = m.add("Gather", [shape, m.indices([m.integer(0, value.rank - 1)])], axis=0)
    whole = int(np.prod(value.shape))
    joined = m.add("Concat", [gathered, m.indices([-1])], axis=0)
    if whole == 0:
        raise DoesNotFit
    target = m.indices([value.shape[0], -1]) if m.coin(0.3) else joined
    try:
        m.add("Reshape", [value, target])
    except DoesNotFit:
        m.add("Mul", [gathered, m.indices([2])])


def arithmetic_on_constants(m: Maker) -> None:
    dtype = m.choice([*FLOATS, np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.int8)])
    left, right = m.scalar(dtype, m.choice([(), (1,), (2,), (0,)])), m.scalar(dtype)
    kind = m.choice(["Add", "Mul", "Sub", "Max", "Neg", "Relu", "Equal", "Sqrt"])
    m.add(kind, [left] if kind in ("Neg", "Relu", "Sqrt") else [left, right])


def split_and_join(m: Maker) -> None:
    value = m.pick(ranks=[2, 3, 4])
    axis = m.integer(0, value.rank - 1)
    size = value.shape[axis]
    if size < 2 or m.opset < 11:
        raise DoesNotFit
    first = m.integer(1, size - 1)
    sizes = [first, size - first]
    if m.opset >= 13:
        parts = m.add("Split", [value, m.indices(sizes)], outputs=2, axis=axis)
    else:
        parts = m.add("Split", [value], outputs=2, axis=axis, split=sizes)
    if m.coin(0.6):
        m.add("Concat", parts if m.coin(0.7) else parts[::-1], axis=axis)


SCENES = [
    transpose, transpose, reshape, flatten, squeeze, unsqueeze_squeezed, slice_, slice_, pad, expand,
    tile, concat, identity, resize, shape_arithmetic, arithmetic_on_constants, split_and_join,
]  # fmt: skip
