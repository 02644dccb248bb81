"""The bias of a linear operator, wherever the graph has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing

Float = NDArray[np.float64]


def bias_of(node: ir.Node, channels: int) -> Float | None:
    """The constant bias of Conv, ConvTranspose or Gemm for each output channel: float64.

    Zeros where there is none; None where it varies, or is another for each row of a Gemm.
    """
    value = editing.input_at(node, 2)
    if value is None:
        return np.zeros(channels)
    bias = editing.constant(value)
    if bias is None or bias.size not in (1, channels) or (bias.ndim > 1 and bias.shape[0] != 1):
        return None
    flat = bias.astype(np.float64).reshape(-1) * _beta(node)
    return np.asarray(np.broadcast_to(flat, (channels,)))


def add_to_bias(node: ir.Node, change: Float) -> None:
    """Add `change` [output channels] to the bias of `node`, which gets one where it has none.

    That of a MatMul is the constant of an Add behind it.
    """
    if node.op_type == "MatMul":
        _add_behind(node, change)
        return
    old = editing.input_at(node, 2)
    bias = editing.constant(old)
    wide = change if bias is None else bias.astype(np.float64) * _beta(node) + change
    if node.op_type == "Gemm":
        node.attributes["beta"] = ir.AttrFloat32("beta", 1.0)
    _set_input(node, 2, wide, old)


def _beta(node: ir.Node) -> float:
    return float(editing.attribute(node, "beta", 1.0)) if node.op_type == "Gemm" else 1.0


def _add_behind(node: ir.Node, change: Float) -> None:
    """Add `change` to the constant of the Add behind a MatMul; insert one where there is none."""
    output = node.outputs[0]
    user = editing.sole_user(output)
    if user is not None and editing.is_op(user, "Add") and user.graph is node.graph:
        index = 1 if user.inputs[0] is output else 0
        old = user.inputs[index]
        bias = editing.constant(old)
        if bias is not None and bias.dtype == np.float32 and bias.ndim <= 1:
            _set_input(user, index, bias.astype(np.float64) + change, old)
            return
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    value = editing.add_initializer(graph, f"{node.name or 'matmul'}.bias", _float32(change))
    inner = editing.new_node(
        "MatMul", node.inputs, before=node, sources=[node], name=node.name, shape=output.shape
    )
    biased = editing.new_node(
        "Add", [inner, value], before=node, sources=[node], shape=output.shape
    )
    biased.metadata_props.update(output.metadata_props)
    editing.replace_value(output, biased)
    editing.remove_dead([node])


def _set_input(node: ir.Node, index: int, array: Float, old: ir.Value | None) -> None:
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    hint = old.name if old is not None and old.name else f"{node.name or node.op_type}.bias"
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, editing.add_initializer(graph, hint, _float32(array)))
    if old is not None:
        editing.remove_dead([old.producer()])
        editing.remove_dead_initializer(old)


def _float32(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(array, np.float32)
