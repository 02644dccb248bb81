"""Fold BatchNormalization into the linear operator in front of it, or behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.normalization import is_training_normalization
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._scaling import linear_layers


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Fold BatchNormalization into the Conv, ConvTranspose, Gemm or MatMul beside it.

    At inference BatchNormalization is ``y = a * x + b`` for each channel, with
    ``a = scale / sqrt(var + epsilon)`` and ``b = bias - mean * a`` (Ioffe and Szegedy,
    arXiv:1502.03167); `a` scales the weights of the linear operator that alone feeds it, and `b`
    goes to its bias. Where there is none in front, a Conv behind takes it, if it does not pad:
    the padding would be zero before the BatchNormalization and not after it.

    Enters subgraphs.
    """

    name = "fold-bn"
    contract = exact
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Fold every BatchNormalization that can be; skip the others with the reason."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if editing.is_op(node, "BatchNormalization") and node.graph is graph:
                    _fold(node, context)


def _fold(node: ir.Node, context: PassContext) -> None:
    affine = _affine(node)
    if isinstance(affine, str):
        context.skip(node, affine)
        return
    before = linear_layers.of_output(node.inputs[0], affine.size)
    if (
        isinstance(before, linear_layers.Linear)
        and before.node.op_type == "MatMul"
        and editing.rank(before.output) != 2
    ):
        # BatchNormalization has its channels on axis 1, a MatMul on the last.
        before = "the MatMul's output is not known to be a matrix"
    if isinstance(before, linear_layers.Linear):
        folded = linear_layers.outputs_scaled(before, affine)
        if isinstance(folded, str):
            context.skip(node, folded)
        elif context.rewrite(node, f"folded into {before.node.name}"):
            editing.replace_value(node.outputs[0], linear_layers.store(folded, sources=[node]))
            editing.remove_dead([node])
        return
    behind = linear_layers.of_input(
        node.outputs[0], affine.size, pads_matter=bool(affine.offset.any())
    )
    if isinstance(behind, linear_layers.Linear):
        folded = linear_layers.inputs_scaled(behind, affine)
        if isinstance(folded, str):
            context.skip(node, folded)
        elif context.rewrite(node, f"folded into {behind.node.name}"):
            linear_layers.store(folded, sources=[node])
            value = node.inputs[0]
            assert value is not None
            editing.replace_value(node.outputs[0], value)
            editing.remove_dead([node])
        return
    context.skip(node, before if behind == linear_layers.NOT_LINEAR else behind)


def _affine(node: ir.Node) -> linear_layers.Affine | str:
    """The factor and offset of each channel, or why they are not known."""
    if is_training_normalization(node):
        return "in training mode"
    if editing.attribute(node, "spatial", 1) != 1:
        return "not spatial (opset < 9)"
    parameters = [editing.constant(editing.input_at(node, index)) for index in range(1, 5)]
    if any(parameter is None for parameter in parameters):
        return "parameters are not constant"
    scale, bias, mean, var = (np.asarray(array, dtype=np.float64) for array in parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = scale / np.sqrt(var + editing.attribute(node, "epsilon", 1e-5))
        affine = linear_layers.Affine(factor, bias - mean * factor)
    return affine if affine.is_finite() else "parameters are not finite"
