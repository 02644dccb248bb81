"""Multiply-accumulates: how many a node makes.

A ConvTranspose counts each input element times its kernel, also where the padding crops the
result; a recurrent operator its two matrix products, not its gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import CONVOLUTIONS, PRODUCTS, RECURRENT, WEIGHT_INPUT
from lprc.core.graph.sizes import Sizes

Counts = Callable[[ir.Value | None], list[int]]
"""The dimensions of a value, with 1 for those that are not known."""


def node_macs(node: ir.Node, sizes: Sizes) -> int:
    """The multiply-accumulates of `node` by itself, without those in its subgraphs."""
    if editing.is_op(node, *CONVOLUTIONS):
        index = WEIGHT_INPUT[node.op_type]
        weight = sizes.counts(editing.input_at(node, index))
        # The weight's first axis has all output channels (input channels, of a ConvTranspose);
        # its second axis those that one of them meets: with groups no more than a group's.
        return applications(node, index, sizes.counts) * math.prod(weight)
    if editing.is_op(node, *PRODUCTS):
        return sizes.elements(node.outputs[0]) * _inner(node, sizes)
    if editing.is_op(node, *RECURRENT):
        steps = math.prod(sizes.counts(node.inputs[0])[:2])
        return steps * sum(sizes.elements(editing.input_at(node, index)) for index in (1, 2))
    return 0


def applications(node: ir.Node, index: int, counts: Counts) -> int:
    """How often the weight at input `index` of a linear operator meets a vector, or a window."""
    if editing.is_op(node, *CONVOLUTIONS):
        moved = node.inputs[0] if node.op_type == "ConvTranspose" else node.outputs[0]
        dims = counts(moved)
        return math.prod(dims[:1]) * math.prod(dims[2:])
    dims = counts(node.outputs[0])
    first = index < WEIGHT_INPUT[node.op_type]
    own = len(dims) - 2 if first and len(dims) > 1 else len(dims) - 1
    return math.prod(dim for axis, dim in enumerate(dims) if axis != own)


def _inner(node: ir.Node, sizes: Sizes) -> int:
    """The length of the dot products of a matrix product."""
    left = sizes.shape(node.inputs[0])
    right = sizes.shape(node.inputs[WEIGHT_INPUT[node.op_type]])
    gemm = node.op_type == "Gemm"
    turned = gemm and editing.attribute(node, "transA", 0)
    length = None if not left else left[0 if turned else -1]
    if length is None and right:
        turned = gemm and editing.attribute(node, "transB", 0)
        length = right[-1 if turned or len(right) == 1 else -2]
    if length is None:
        sizes.unknown = True
    return 1 if length is None else length
