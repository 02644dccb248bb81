"""ConvTranspose as a convolution that computes all phases of the result at once.

Output row ``y = q * stride + phase`` takes the taps ``t`` with ``(y + pad − t)`` divisible by the
stride, and reads input row ``(y + pad − t) / stride``; so each phase is a convolution of its own
over q (Shi et al., "Is the deconvolution layer the same as a convolutional layer?",
arXiv:1609.07009). All phases are the output channels of one, with zeros for taps that a phase has
not, and the result is a view of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.targets.tvm_backend.kernels.windows import Read, Window
from lprc.targets.tvm_backend.packed import Packed, Value, mapped, rounded_up
from lprc.targets.tvm_backend.packing.convolution import Weights, convolved
from lprc.targets.tvm_backend.packing.expressions import numbers, shape_of
from lprc.targets.tvm_backend.packing.packer import Handler, Packer


def conv2d_transpose(packer: Packer, call: Any) -> Value | None:
    """A ConvTranspose of one group, without dilation."""
    a, shape = call.attrs, shape_of(call)
    if (
        str(a.data_layout) != "NCHW"
        or str(a.kernel_layout) != "IOHW"
        or int(a.groups) != 1
        or any(dilation != 1 for dilation in numbers(a.dilation))
        or shape is None
    ):
        return None
    value = packer.packed(packer.take(call.args[0]))
    if value is None:
        return None
    integer = value.quantisation is not None
    weights = Weights.of(packer, call.args[1], integer=integer, axis=1)
    if weights is None:
        return None
    return transposed(packer, value, weights, numbers(a.strides), numbers(a.padding)[:2], shape)


def transposed(
    packer: Packer,
    value: Packed,
    weights: Weights,
    strides: list[int],
    pads: list[int],
    shape: tuple[int, ...],
) -> Packed:
    """A view of a stored convolution.

    Args:
        packer: For the kernel.
        value: The activation that is convolved.
        weights: [I, O, KH, KW].
        strides: Of rows and columns.
        pads: Top and left.
        shape: Of the result.
    """
    (up, right), (n, count, height, width) = strides, shape
    rows = _taps(weights.values.shape[2], up, pads[0])
    columns = _taps(weights.values.shape[3], right, pads[1])
    depth = rounded_up(count)
    inputs = weights.values.shape[0]
    phases = np.zeros(
        (up, right, depth, inputs, rows.shape[1], columns.shape[1]), weights.values.dtype
    )
    for i, j in np.ndindex(up, right):
        for a, b in np.ndindex(rows.shape[1], columns.shape[1]):
            if rows[i, a] >= 0 and columns[j, b] >= 0:
                phases[i, j, :count, :, a, b] = weights.values[:, :, rows[i, a], columns[j, b]].T
    scale = weights.scale
    if scale is not None and scale.size > 1:
        scale = np.tile(np.pad(scale, (0, depth - count)), up * right)
    first = (_first(weights.values.shape[2], up, pads[0]),
             _first(weights.values.shape[3], right, pads[1]))  # fmt: skip
    size = -(-height // up), -(-width // right)
    window = Window((rows.shape[1], columns.shape[1]), pads=(-first[0], -first[1], 0, 0))
    stacked = phases.reshape(up * right * depth, inputs, *window.kernel)
    stored_phases = packer.stored(convolved(packer, value, Weights(stacked, scale), window, size))

    def spread_out(read: Read) -> Read:
        def at(i: Any, y: Any, x: Any, k: Any) -> Any:
            phase = (y % up) * right + x % right
            return read(i, y // up, x // right, phase * depth + k)

        return at

    return mapped(
        stored_phases, spread_out, shape=(n, count, height, width), channels=tuple(range(count)),
        depth=depth,
    )  # fmt: skip


def _first(kernel: int, stride: int, pad: int) -> int:
    """The lowest input row that output rows 0 to stride − 1 read, with q = 0."""
    return -((kernel - 1 - pad) // stride)


def _taps(kernel: int, stride: int, pad: int) -> NDArray[np.int64]:
    """For each phase and each input row from the first on: which tap it meets; -1 for none."""
    first = _first(kernel, stride, pad)
    last = max((phase + pad) // stride for phase in range(stride))
    taps = np.full((stride, last - first + 1), -1)
    for phase in range(stride):
        for place in range(last - first + 1):
            tap = phase + pad - (first + place) * stride
            if 0 <= tap < kernel:
                taps[phase, place] = tap
    return taps


HANDLERS: dict[str, Handler] = {"relax.nn.conv2d_transpose": conv2d_transpose}
