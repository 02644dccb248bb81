"""Whether the windows of a pool lie in its input."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing

MAY_NOT_FIT = "a window may be larger than its input"


def fits(node: ir.Node) -> bool:
    """Whether every spatial axis is known to be as long as the window of a pool that pads nothing.

    ONNX gives such a pool an output without elements, or a negative size; ONNX Runtime rounds that
    size towards zero, and averages what there is.
    """
    kernel = editing.attribute(node, "kernel_shape")
    dilations = editing.attribute(node, "dilations") or [1] * len(kernel)
    sizes = [editing.dimension(node.inputs[0], axis) for axis in range(2, 2 + len(kernel))]
    return all(
        size is not None and size >= (window - 1) * dilation + 1
        for size, window, dilation in zip(sizes, kernel, dilations, strict=True)
    )
