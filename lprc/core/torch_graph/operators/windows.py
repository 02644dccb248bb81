"""Convolutions and pools: what slides a window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from lprc.core.torch_graph.operators.call import Call, Function, Inputs, given, needed

_CONV = (functional.conv1d, functional.conv2d, functional.conv3d)
_TRANSPOSED = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)
_MAX = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_AVERAGE = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


class _Window:
    """Kernel, strides, dilations and padding of a node; lists have an entry a spatial axis."""

    def __init__(self, call: Call, kernel: Sequence[int], sizes: Sequence[int]) -> None:
        rank = len(kernel)
        if not 1 <= rank <= 3:
            raise call.refused(f"{rank} spatial axes")
        self.kernel = list(kernel)
        self.strides = list(call.attribute("strides") or [1] * rank)
        self.dilations = list(call.attribute("dilations") or [1] * rank)
        self.begins, self.ends = self._pads(call, sizes)

    def _pads(self, call: Call, sizes: Sequence[int]) -> tuple[list[int], list[int]]:
        rank = len(self.kernel)
        automatic = call.attribute("auto_pad", "NOTSET")
        if automatic == "VALID":
            return [0] * rank, [0] * rank
        if automatic == "NOTSET":
            pads = list(call.attribute("pads") or [0] * (2 * rank))
            return pads[:rank], pads[rank:]
        totals = [
            max(0, (math.ceil(size / stride) - 1) * stride + reach - size)
            for size, stride, reach in zip(sizes, self.strides, self.reaches, strict=True)
        ]
        small = [total // 2 for total in totals]
        large = [total - begin for total, begin in zip(totals, small, strict=True)]
        return (small, large) if automatic == "SAME_UPPER" else (large, small)

    @property
    def reaches(self) -> list[int]:
        """How far a kernel reaches with its dilation."""
        return [
            (size - 1) * dilation + 1
            for size, dilation in zip(self.kernel, self.dilations, strict=True)
        ]

    def round_up(self, sizes: Sequence[int]) -> list[int]:
        """How much more is needed behind for ``ceil_mode``; no window starts in the padding."""
        more = []
        for size, begin, end, reach, stride in zip(
            sizes, self.begins, self.ends, self.reaches, self.strides, strict=True
        ):
            steps = math.ceil((size + begin + end - reach) / stride)
            if steps * stride >= size + begin:
                steps -= 1
            more.append(max(0, steps * stride + reach - size - begin - end))
        return more

    def padded(self, x: torch.Tensor, value: float, more: Sequence[int]) -> torch.Tensor:
        """`x` with its padding made explicit."""
        pads: list[int] = []
        for begin, end, extra in reversed(list(zip(self.begins, self.ends, more, strict=True))):
            pads += [begin, end + extra]
        return functional.pad(x, pads, value=value) if any(pads) else x


def _conv(call: Call, inputs: Inputs) -> torch.Tensor:
    x, weight = needed(inputs, 0), needed(inputs, 1)
    window = _Window(call, weight.shape[2:], x.shape[2:])
    padding: list[int] = window.begins
    if window.begins != window.ends:
        x, padding = window.padded(x, 0.0, [0] * len(padding)), [0] * len(padding)
    return _CONV[len(padding) - 1](
        x,
        weight,
        given(inputs, 2),
        stride=window.strides,
        padding=padding,
        dilation=window.dilations,
        groups=call.attribute("group", 1),
    )


def _conv_transpose(call: Call, inputs: Inputs) -> torch.Tensor:
    x, weight = needed(inputs, 0), needed(inputs, 1)
    if call.attribute("output_shape") or call.attribute("auto_pad", "NOTSET") not in (
        "NOTSET",
        "VALID",
    ):
        raise call.refused("its padding follows from the shape of its output")
    window = _Window(call, weight.shape[2:], x.shape[2:])
    extra = list(call.attribute("output_padding") or [0] * len(window.kernel))
    full = _TRANSPOSED[len(window.kernel) - 1](
        x,
        weight,
        given(inputs, 2),
        stride=window.strides,
        output_padding=extra,
        dilation=window.dilations,
        groups=call.attribute("group", 1),
    )
    for axis, (begin, end) in enumerate(zip(window.begins, window.ends, strict=True), 2):
        full = full.narrow(axis, begin, full.shape[axis] - begin - end)
    return full


def _max_pool(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    if call.outputs > 1:
        raise call.refused("its second output, the indices, is used")
    window = _Window(call, call.attribute("kernel_shape"), x.shape[2:])
    more = _more(call, window, x)
    padded = window.padded(x, -math.inf, more)
    return _MAX[len(window.kernel) - 1](
        padded, window.kernel, stride=window.strides, dilation=window.dilations
    )


def _more(call: Call, window: _Window, x: torch.Tensor) -> list[int]:
    ceil = call.attribute("ceil_mode", 0)
    return window.round_up(x.shape[2:]) if ceil else [0] * len(window.kernel)


def _average_pool(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    window = _Window(call, call.attribute("kernel_shape"), x.shape[2:])
    if any(extent != 1 for extent in window.dilations):
        raise call.refused("it has dilations")
    rank = len(window.kernel)
    more = _more(call, window, x)
    means = _AVERAGE[rank - 1](window.padded(x, 0.0, more), window.kernel, stride=window.strides)
    if not any(window.begins + window.ends + more):
        return means
    ones = torch.ones_like(x[:1, :1])
    if call.attribute("count_include_pad", 0):
        pads = [extent for pair in zip(window.begins, window.ends, strict=True) for extent in pair]
        swapped = [pads[2 * axis + side] for axis in reversed(range(rank)) for side in (0, 1)]
        ones = functional.pad(ones, swapped, value=1.0)
        ones = functional.pad(ones, [extent for extra in reversed(more) for extent in (0, extra)])
    else:
        ones = window.padded(ones, 0.0, more)
    return means / _AVERAGE[rank - 1](ones, window.kernel, stride=window.strides)


def _global(call: Call, inputs: Inputs) -> torch.Tensor:
    x = needed(inputs, 0)
    axes = tuple(range(2, x.dim()))
    if call.op_type == "GlobalAveragePool":
        return x.mean(dim=axes, keepdim=True)
    return x.amax(dim=axes, keepdim=True)


TABLE: dict[str, Function] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global,
    "MaxPool": _max_pool,
}
