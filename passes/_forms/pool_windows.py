"""Whether the windows of a pool lie in its input."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing

MAY_NOT_FIT = "a window may be larger than its input"


def fits(node: ir.Node) -> bool:
    """Whether every spatial axis, with its pads, is known to be as long as the window of a pool.

    ONNX gives such a pool an output without elements, or a negative size; ONNX Runtime rounds that
    size towards zero, and averages what there is.
    """
    kernel = editing.attribute(node, "kernel_shape")
    count = len(kernel)
    dilations = editing.attribute(node, "dilations") or [1] * count
    sizes = [editing.dimension(node.inputs[0], axis) for axis in range(2, 2 + count)]
    if editing.attribute(node, "auto_pad", "NOTSET").startswith("SAME"):
        return all(sizes)
    pads = editing.attribute(node, "pads") or [0] * 2 * count
    padded = [begin + end for begin, end in zip(pads[:count], pads[count:], strict=True)]
    columns = zip(sizes, padded, kernel, dilations, strict=True)
    return all(
        size is not None and size + pad >= (window - 1) * dilation + 1
        for size, pad, window, dilation in columns
    )
