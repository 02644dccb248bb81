"""AveragePool as a depthwise Conv."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import EXACT_TOLERANCE, approximate, exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.pool_windows import MAY_NOT_FIT, fits


@dataclass(frozen=True)
class AveragePoolToConv(Pass):
    """Replace AveragePool by a depthwise Conv with weights ``1 / kernel size``.

    ONNX Runtime's AveragePool runs one thread a channel, element by element, and on LPRNet takes
    a third of the time; its depthwise Conv is vectorised and keeps the blocked layout. Only where
    every window has the same number of elements. Enters subgraphs.

    OpenVINO computes an AveragePool that reads a DequantizeLinear in eight bits, and rounds the
    mean to one of 256 values. A depthwise Conv with int8 weights (all 127, so that they are exact)
    also reads eight bits, but puts out float.
    """

    name = "average-pool-to-conv"
    contract = exact
    only: Literal["all", "dequantized"] = option(
        "all", "which pools: all, or those that read a DequantizeLinear"
    )

    weights: Literal["float", "integer"] = option(
        "float", "store weights as float, or as int8 with DequantizeLinear"
    )

    def __post_init__(self) -> None:
        """Promise less where an output of zero becomes the bias."""
        if self.weights == "integer":
            # Of this pass, not the class.
            object.__setattr__(self, "contract", approximate(EXACT_TOLERANCE))

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Replace pools; see the class."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if not editing.is_op(node, "AveragePool"):
                    continue
                if self.only == "dequantized" and not _reads_dequantized(node):
                    continue
                reason = _why_not(node) or self._why_not_integer(model)
                if reason is not None:
                    context.skip(node, reason)
                elif context.rewrite(node, "depthwise Conv"):
                    _replace(node, integer=self.weights == "integer")

    def _why_not_integer(self, model: ir.Model) -> str | None:
        old = self.weights == "integer" and editing.opset_version(model) < 13
        return "opset is below 13" if old else None


def _reads_dequantized(node: ir.Node) -> bool:
    value = node.inputs[0]
    return value is not None and editing.is_op(value.producer(), "DequantizeLinear")


def _why_not(node: ir.Node) -> str | None:
    if editing.dimension(node.inputs[0], 1) is None:
        return "channel count is unknown"
    if editing.dimension(node.inputs[0], 1) == 0:
        return "no channels"
    if node.inputs[0] is None or node.inputs[0].dtype != ir.DataType.FLOAT:
        return "its input is not float32"
    if editing.attribute(node, "ceil_mode", 0):
        return "ceil_mode"
    pads = any(editing.attribute(node, "pads", ()))
    if editing.attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        pads = True
    if pads and not editing.attribute(node, "count_include_pad", 0):
        return "windows differ in size"
    if pads:
        # ONNX Runtime 1.23 and 1.31 do not agree on which padding counts.
        return "it counts padding"
    return None if fits(node) else MAY_NOT_FIT


_KEPT = ("auto_pad", "dilations", "kernel_shape", "strides")


def _replace(node: ir.Node, *, integer: bool) -> None:
    graph = node.graph
    channels = editing.dimension(node.inputs[0], 1)
    assert isinstance(graph, ir.Graph)
    assert channels is not None
    kernel = [int(size) for size in editing.attribute(node, "kernel_shape")]
    make = _integer_weight if integer else _float_weight
    attributes = {name: editing.attribute(node, name) for name in _KEPT if name in node.attributes}
    output = editing.new_node(
        "Conv",
        [node.inputs[0], *make(node, (channels, 1, *kernel), 1 / math.prod(kernel))],
        before=node,
        sources=[node],
        attributes={**attributes, "group": channels},
        shape=node.outputs[0].shape,
    )
    editing.replace_value(node.outputs[0], output, before=node)
    editing.remove_dead([node])


def _float_weight(node: ir.Node, shape: tuple[int, ...], share: float) -> list[ir.Value]:
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    return [
        editing.add_initializer(graph, f"{node.name}_weight", np.full(shape, share, np.float32))
    ]


NO_BIAS = 2.0**-126
"""OpenVINO 2026.4 forgets the scales of an int8 depthwise Conv without a bias if the batch is
dynamic; the smallest normal number will do."""


def _integer_weight(node: ir.Node, shape: tuple[int, ...], share: float) -> list[ir.Value]:
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    stored = editing.add_initializer(graph, f"{node.name}_weight", np.full(shape, 127, np.int8))
    scale = np.full(shape[0], share / 127, np.float32)
    dequantized = editing.new_node(
        "DequantizeLinear",
        [stored, editing.add_initializer(graph, f"{node.name}_weight_scale", scale)],
        before=node,
        sources=[node],
        attributes={"axis": 0},
        name=f"{node.name}_weight_dequantize",
        dtype=ir.DataType.FLOAT,
        shape=shape,
    )
    bias = np.full(shape[0], NO_BIAS, np.float32)
    return [dequantized, editing.add_initializer(graph, f"{node.name}_bias", bias)]
