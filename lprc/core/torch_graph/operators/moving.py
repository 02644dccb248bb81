"""What moves elements and computes nothing: shapes, slices, joins."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from lprc.core.torch_graph.operators.call import (
    Call,
    Function,
    Inputs,
    given,
    integers,
    integers_of,
    needed,
)
from lprc.core.torch_graph.types import torch_dtype


def _reshape(call: Call, inputs: Inputs) -> torch.Tensor:
    x, wanted = needed(inputs, 0), integers(needed(inputs, 1))
    if not call.attribute("allowzero", 0):
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    axis = call.attribute("axis", 1)
    return x.reshape(math.prod(x.shape[: axis + x.dim() if axis < 0 else axis]), -1)


def _squeeze(call: Call, inputs: Inputs) -> torch.Tensor:
    x, axes = needed(inputs, 0), integers_of(call, inputs, 1, "axes")
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(call: Call, inputs: Inputs) -> torch.Tensor:
    x, axes = needed(inputs, 0), integers_of(call, inputs, 1, "axes") or []
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    return x.permute(call.attribute("perm") or list(reversed(range(x.dim()))))


def _concat(call: Call, inputs: Inputs) -> torch.Tensor:
    return torch.cat([each for each in inputs if each is not None], dim=call.attribute("axis"))


def _split(call: Call, inputs: Inputs) -> tuple[torch.Tensor, ...]:
    x, axis = needed(inputs, 0), call.attribute("axis", 0)
    sizes = integers_of(call, inputs, 1, "split")
    if sizes is None:
        count = call.attribute("num_outputs") or call.outputs
        size = math.ceil(x.shape[axis] / count)
        sizes = [min(size, x.shape[axis] - size * each) for each in range(count)]
    return torch.split(x, sizes, dim=axis)


def _slice(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    starts = integers_of(call, inputs, 1, "starts") or []
    ends = integers_of(call, inputs, 2, "ends") or []
    axes = integers_of(call, inputs, 3, "axes") or list(range(len(starts)))
    steps = integers_of(call, inputs, 4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        chosen = range(x.shape[axis])[start:end:step]
        if step > 0:
            cut = [slice(None)] * x.dim()
            cut[axis] = slice(chosen.start, chosen.stop, step)
            x = x[tuple(cut)]
        else:
            x = x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))
    return x


def _gather(call: Call, inputs: Inputs) -> torch.Tensor:
    x, indices = needed(inputs, 0), needed(inputs, 1)
    axis = call.attribute("axis", 0) % x.dim()
    flat = indices.flatten().long().to(x.device)
    taken = x.index_select(axis, torch.where(flat < 0, flat + x.shape[axis], flat))
    return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _expand(_: Call, inputs: Inputs) -> torch.Tensor:
    x, wanted = needed(inputs, 0), integers(needed(inputs, 1))
    shape: torch.Size = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
        x.shape, torch.Size(wanted)
    )
    return x.expand(shape)


def _tile(_: Call, inputs: Inputs) -> torch.Tensor:
    return needed(inputs, 0).tile(integers(needed(inputs, 1)))


_PAD_MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "circular"}


def _pad(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    pads = integers_of(call, inputs, 1, "pads") or []
    value = given(inputs, 2)
    axes_input = given(inputs, 3)
    axes = list(range(x.dim())) if axes_input is None else integers(axes_input)
    by_axis = {axis % x.dim(): (pads[at], pads[at + len(axes)]) for at, axis in enumerate(axes)}
    mode = _PAD_MODES[call.attribute("mode", "constant")]
    first = min((axis for axis, pair in by_axis.items() if any(pair)), default=x.dim())
    if first == x.dim():
        return x
    flat = [pad for axis in range(x.dim() - 1, first - 1, -1) for pad in by_axis.get(axis, (0, 0))]
    if mode != "constant":
        if first < 2:
            raise call.refused(f"mode {call.attribute('mode')} on batch or channels")
        flat = [pad for axis in range(x.dim() - 1, 1, -1) for pad in by_axis.get(axis, (0, 0))]
        return functional.pad(x, flat, mode=mode)
    constant = call.attribute("value", 0.0) if value is None else value.item()
    return functional.pad(x, flat, value=constant)


def _depth_to_space(call: Call, inputs: Inputs) -> torch.Tensor:
    x, block = needed(inputs, 0), call.attribute("blocksize")
    n, c, h, w = x.shape
    if call.attribute("mode", "DCR") == "DCR":
        parts = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // block**2, block, block, h, w).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, c // block**2, h * block, w * block)


def _space_to_depth(call: Call, inputs: Inputs) -> torch.Tensor:
    x, block = needed(inputs, 0), call.attribute("blocksize")
    n, c, h, w = x.shape
    order = (0, 3, 5, 1, 2, 4) if call.attribute("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    parts = x.reshape(n, c, h // block, block, w // block, block).permute(order)
    return parts.reshape(n, c * block**2, h // block, w // block)


def _shape(call: Call, inputs: Inputs) -> torch.Tensor:
    sizes = list(needed(inputs, 0).shape)
    end = call.attribute("end")
    return torch.tensor(sizes[call.attribute("start", 0) : end], dtype=torch.int64)


def _size(_: Call, inputs: Inputs) -> torch.Tensor:
    return torch.tensor(needed(inputs, 0).numel(), dtype=torch.int64)


def _range(_: Call, inputs: Inputs) -> torch.Tensor:
    start, limit, delta = (needed(inputs, index) for index in range(3))
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def _constant_of_shape(call: Call, inputs: Inputs) -> torch.Tensor:
    value = call.attribute("value")
    filling = torch.zeros(1) if value is None else value.flatten()
    return filling.expand(integers(needed(inputs, 0)) or [1]).clone()


def _cast(call: Call, inputs: Inputs) -> torch.Tensor:
    return needed(inputs, 0).to(torch_dtype(call.attribute("to"), call.where))


TABLE: dict[str, Function] = {
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
