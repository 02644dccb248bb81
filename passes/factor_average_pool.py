"""Overlapping AveragePool windows, as averages of averages."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.pool_windows import MAY_NOT_FIT, fits


@dataclass(frozen=True)
class FactorAveragePool(Pass):
    """Split an AveragePool whose windows overlap by whole strides into two that add less.

    A window of ``m`` strides is the average of ``m`` blocks of one stride each, and neighbouring
    windows share all but one of them. LPRNet's 4×10 pool with stride (4, 2) becomes a 4×2 pool
    with that stride and a 1×5 pool with stride 1: 13 additions a value instead of 40.

    Enters subgraphs.
    """

    name = "factor-average-pool"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Split each pool that gains by it."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if not editing.is_op(node, "AveragePool"):
                    continue
                factors = _factors(node)
                if factors is None:
                    continue
                reason = _why_not(node)
                if reason:
                    context.skip(node, reason)
                elif context.rewrite(node, f"blocks of {factors[0]}, then {factors[1]}"):
                    _split(node, *factors)


Sizes = tuple[int, ...]


def _factors(node: ir.Node) -> tuple[Sizes, Sizes] | None:
    """The kernels of the two pools; None where no axis has a window of several strides."""
    kernel: Sizes = tuple(editing.attribute(node, "kernel_shape"))
    strides: Sizes = tuple(editing.attribute(node, "strides") or [1] * len(kernel))
    pairs = [
        (stride, size // stride) if 1 < stride < size and size % stride == 0 else (size, 1)
        for size, stride in zip(kernel, strides, strict=True)
    ]
    blocks, windows = tuple(first for first, _ in pairs), tuple(second for _, second in pairs)
    return None if all(size == 1 for size in windows) else (blocks, windows)


def _why_not(node: ir.Node) -> str | None:
    if any(editing.attribute(node, "pads") or ()):
        return "it pads"
    if editing.attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return "it pads"
    if editing.attribute(node, "ceil_mode", 0):
        return "it has ceil_mode"
    if any(size != 1 for size in editing.attribute(node, "dilations") or ()):
        return "it is dilated"
    return None if fits(node) else MAY_NOT_FIT


def _split(node: ir.Node, blocks: Sizes, windows: Sizes) -> None:
    value, output = node.inputs[0], node.outputs[0]
    strides = editing.attribute(node, "strides")
    averaged = editing.new_node(
        "AveragePool",
        [value],
        before=node,
        sources=[node],
        attributes={"kernel_shape": blocks, "strides": strides},
        shape=_pooled_shape(value, blocks, strides),
    )
    pooled = editing.new_node(
        "AveragePool",
        [averaged],
        before=node,
        sources=[node],
        attributes={"kernel_shape": windows, "strides": [1] * len(windows)},
        shape=output.shape,
    )
    editing.replace_value(output, pooled)
    editing.remove_dead([node])


def _pooled_shape(
    value: ir.Value | None, kernel: Sizes, strides: Sizes
) -> list[int | ir.SymbolicDim | None] | None:
    if value is None or value.shape is None:
        return None
    sizes = [
        (dim - size) // stride + 1 if isinstance(dim, int) else None
        for dim, size, stride in zip(list(value.shape)[2:], kernel, strides, strict=True)
    ]
    return [*list(value.shape)[:2], *sizes]
