"""What a graph itself says of the sizes that it was made for."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import editing, operators

_SHAPE_ELEMENTS = 8
"""Integer constants of at most so many elements may be shapes, or parts of one."""

_MOST_SIZES = 16

_LARGEST = 2048


def total_stride(model: ir.Model) -> int:
    """The largest product of strides on a path of the main graph: 32 of most backbones."""
    strides: dict[ir.Value, int] = {}
    largest = 1
    for node in model.graph:
        before = max(
            (strides.get(value, 1) for value in node.inputs if value is not None), default=1
        )
        own = 1
        if node.op_type in operators.POOLS | {"Conv"}:
            own = max(editing.attribute(node, "strides", None) or [1])
        for value in node.outputs:
            strides[value] = before * own
        largest = max(largest, before * own)
    return min(largest, _LARGEST)


def written_sizes(model: ir.Model) -> set[int]:
    """Sizes in integer constants, which a traced export may be tied to; the smallest few."""
    constants = {
        value
        for graph in editing.graphs(model)
        for node in graph
        for value in node.inputs
        if value is not None and not value.is_graph_input()
    }
    sizes = {size for value in constants for size in _small_integers(value) if size > 1}
    return set(sorted(sizes)[:_MOST_SIZES])


def _small_integers(value: ir.Value) -> list[int]:
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.dtype != ir.DataType.INT64 or tensor.size > _SHAPE_ELEMENTS:
        return []
    return [int(number) for number in tensor.numpy().flat if number <= _LARGEST]
