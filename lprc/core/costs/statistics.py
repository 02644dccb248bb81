"""What a graph costs: nodes, parameters, multiply-accumulates and memory, by layer and in all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.costs.activation_memory import peak_bytes
from lprc.core.costs.macs import node_macs
from lprc.core.graph import editing
from lprc.core.graph.constants import constant_tensor, tensor_bytes
from lprc.core.graph.operators import (
    BIAS_INPUTS,
    CONTRACTIONS,
    CONVOLUTIONS,
    PRODUCTS,
    RECURRENT,
    WEIGHT_INPUT,
)
from lprc.core.graph.provenance import origins
from lprc.core.graph.sizes import Sizes
from lprc.core.graph.weight_sparsity import SPARSE, Pattern, weight_of, why_not


@dataclass(frozen=True)
class Statistics:
    """Sums over a model: the main graph, its subgraphs and the functions that it calls.

    Attributes:
        nodes: The number of nodes.
        parameters: Elements of all constants but int64, bool and strings, which say shapes.
        nonzero_parameters: Those of them that are not zero.
        macs: Multiply-accumulates. A body of Loop or Scan counts once, each branch of If too.
        weight_bytes: Of all constants.
        activation_bytes: The most that is alive at once, see `activation_memory.peak_bytes`.
        unknown_dims: Whether dimensions (or types) that are not known counted as 1 (or nothing).
        uncounted: Operators that may multiply and are not in `macs`, sorted.
        contradiction: Why shape inference failed; None where it did not.
    """

    nodes: int
    parameters: int
    nonzero_parameters: int
    macs: int
    weight_bytes: int
    activation_bytes: int
    unknown_dims: bool
    uncounted: tuple[str, ...] = ()
    contradiction: str | None = None


@dataclass(frozen=True)
class LayerRow:
    """One operator that multiplies and accumulates.

    Attributes:
        node: Its name.
        op_type: The operator.
        origins: The source nodes it came from.
        shape: Of its first output, None for a dimension that is not known; None for no rank.
        dtype: Of its first output, for instance ``FLOAT``; None if not known.
        parameters: Elements of its constant weights and biases.
        macs: Its multiply-accumulates.
        density: The fraction of its weights that is not zero; None without a constant weight.
        patterns: The common N:M patterns that its weight has, for instance ``("2:4",)``.
        not_sparse: Why sparse tensor cores can't run it with a 2:4 weight; None where they can.
    """

    node: str
    op_type: str
    origins: tuple[str, ...]
    shape: tuple[int | None, ...] | None
    dtype: str | None
    parameters: int
    macs: int
    density: float | None
    patterns: tuple[str, ...]
    not_sparse: str | None


def model_statistics(model: ir.Model) -> Statistics:
    """Count; time is linear in the nodes and the weights. The model is not changed."""
    model = _inlined(model)
    sizes = Sizes(model)
    nodes = [node for graph in editing.graphs(model) for node in graph]
    tensors = list(_constants(model))
    counted = [tensor for tensor in tensors if tensor.dtype not in _NO_PARAMETERS]
    macs = sum(node_macs(node, sizes) for node in nodes)
    activation_bytes = peak_bytes(model.graph, sizes)
    return Statistics(
        nodes=len(nodes),
        parameters=sum(int(tensor.size) for tensor in counted),
        nonzero_parameters=sum(_nonzero(tensor.numpy()) for tensor in counted),
        macs=macs,
        weight_bytes=sum(tensor_bytes(tensor) for tensor in tensors),
        activation_bytes=activation_bytes,
        unknown_dims=sizes.unknown,
        uncounted=tuple(sorted({node.op_type for node in nodes if _is_uncounted(node)})),
        contradiction=sizes.contradiction,
    )


def layer_rows(model: ir.Model) -> list[LayerRow]:
    """The operators that multiply and accumulate, in graph order, those in subgraphs behind."""
    model = _inlined(model)
    sizes = Sizes(model)
    return [
        _row(node, sizes)
        for graph in editing.graphs(model)
        for node in graph
        if editing.is_op(node, *_PARAMETERS)
    ]


_NO_PARAMETERS = (ir.DataType.INT64, ir.DataType.BOOL, ir.DataType.STRING)

_PARAMETERS: dict[str, tuple[int, ...]] = {
    **{name: (WEIGHT_INPUT[name],) for name in CONVOLUTIONS},
    **{name: (0, WEIGHT_INPUT[name]) for name in PRODUCTS},
    **dict.fromkeys(RECURRENT, (1, 2)),
}
"""Which inputs may be weights."""


def _inlined(model: ir.Model) -> ir.Model:
    """`model`, or a copy of it with its functions in place of their calls, where that can be."""
    if not model.functions:
        return model
    from onnx_ir.passes.common import InlinePass

    from lprc.core.graph.function_calls import why_not_inlined

    if why_not_inlined(model) is not None:
        return model
    copy = model.clone()
    InlinePass()(copy)
    return copy


def _constants(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    for graph in editing.graphs(model):
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value
        for node in graph:
            tensor = constant_tensor(node) if editing.is_op(node, "Constant") else None
            if tensor is not None:
                yield tensor


def _nonzero(array: NDArray[Any]) -> int:
    return int(np.count_nonzero(array))


def _is_uncounted(node: ir.Node) -> bool:
    return node.domain not in editing.ONNX_DOMAIN or node.op_type in CONTRACTIONS


def _row(node: ir.Node, sizes: Sizes) -> LayerRow:
    weights = [_constant(node, index) for index in _PARAMETERS[node.op_type]]
    arrays = [array for array in weights if array is not None and array.size]
    biases = [_constant(node, index) for index in BIAS_INPUTS.get(node.op_type, ())]
    count = sum(array.size for array in arrays)
    shape, dtype = sizes.shape(node.outputs[0]), sizes.dtype(node.outputs[0])
    return LayerRow(
        node=node.name or "",
        op_type=node.op_type,
        origins=origins(node),
        shape=None if shape is None else tuple(shape),
        dtype=None if dtype is None else dtype.name,
        parameters=count + sum(array.size for array in biases if array is not None),
        macs=node_macs(node, sizes),
        density=sum(map(_nonzero, arrays)) / count if count else None,
        patterns=_patterns(node),
        not_sparse=_not_sparse(node),
    )


def _constant(node: ir.Node, index: int) -> NDArray[Any] | None:
    value = editing.input_at(node, index)
    producer = None if value is None else value.producer()
    if producer is not None and editing.is_op(producer, "DequantizeLinear"):
        value = editing.input_at(producer, 0)
    return editing.constant(value)


def _patterns(node: ir.Node) -> tuple[str, ...]:
    weight = weight_of(node) if editing.is_op(node, *SPARSE) else None
    return () if weight is None else tuple(map(str, weight.patterns))


def _not_sparse(node: ir.Node) -> str | None:
    if not editing.is_op(node, *SPARSE):
        return f"no sparse kernels for {node.op_type}"
    weight = weight_of(node)
    if weight is None:
        return "the weight is not constant"
    return why_not(node, weight.array.shape[weight.axis], Pattern(2, 4))
