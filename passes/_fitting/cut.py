"""The part of a graph that leads from some of its values to others, as a graph of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir import serde

from lprc.core.graph.subgraphs import bodies

Like = tuple[np.dtype[Any], list[int | None] | None]
"""The dtype and the shape of a value; None for a size, or a rank, that varies."""

_NATIVE = {ir.DataType.from_numpy(np.dtype(code)) for code in "?bBhHiIlLefd"}
"""Types that NumPy has by itself."""


@dataclass(frozen=True)
class Part:
    """What computes chosen values of a graph.

    Attributes:
        proto: The part, without outputs.
        inputs: The names of its inputs.
    """

    proto: onnx.ModelProto
    inputs: frozenset[str]


def part(model: ir.Model, names: Sequence[str], given: Mapping[str, Like]) -> Part:
    """What computes the values `names` of the main graph of `model`, and nothing else.

    Args:
        model: The graph; it is not changed.
        names: The values; what is given of them becomes an input.
        given: Values that are there already, with what they are like; it starts from them.
    """
    needed, read = set(names) - given.keys(), set(names)
    nodes = []
    for node in reversed(model.graph):
        if any(output.name in needed for output in node.outputs):
            nodes.append(node)
            of_node = set(names_read(node))
            read |= of_node
            needed |= of_node - given.keys()
    inputs = [value for value in model.graph.inputs if value.name in needed]
    weights = [
        value for value in model.graph.initializers.values()
        if value.name in needed and value.const_value is not None
    ]  # fmt: skip
    started = [_value_info(name, like) for name, like in given.items() if name in read]
    graph = onnx.GraphProto(name="part")
    graph.node.extend(serde.serialize_node(node) for node in reversed(nodes))
    graph.input.extend([*map(serde.serialize_value, inputs), *started])
    graph.initializer.extend(_tensor(value) for value in weights)
    proto = onnx.ModelProto(ir_version=model.ir_version, graph=graph)
    for domain, version in model.graph.opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    proto.functions.extend(map(serde.serialize_function, model.functions.values()))
    return Part(proto, frozenset(value.name for value in graph.input))


def crossing(graph: ir.Graph, front: Sequence[ir.Node]) -> list[str] | None:
    """What depends on inputs, and is computed by the nodes in front and read by any other node.

    None where one of them is of a type that NumPy does not have.
    """
    moving = {value.name for value in graph.inputs if not value.is_initializer()}
    behind: set[str] = set()
    for place, node in enumerate(graph):
        names = set(names_read(node))
        if not moving.isdisjoint(names):
            moving.update(output.name for output in node.outputs)
        if place >= len(front):
            behind |= names
    values = [
        value
        for node in front
        for value in node.outputs
        if value.name in behind and value.name in moving
    ]
    return [str(value.name) for value in values] if all(map(_is_array, values)) else None


def names_read(node: ir.Node) -> Iterator[str]:
    """The names that a node reads, in its bodies too."""
    for value in node.inputs:
        if value is not None and value.name:
            yield value.name
    for body in bodies(node):
        for inner in body:
            yield from names_read(inner)
        yield from (str(value.name) for value in body.outputs)


def _is_array(value: ir.Value) -> bool:
    if value.type is not None and not isinstance(value.type, ir.TensorType):
        return False
    return value.dtype is None or value.dtype in _NATIVE


def _tensor(value: ir.Value) -> onnx.TensorProto:
    assert value.const_value is not None
    tensor = serde.serialize_tensor(value.const_value)
    tensor.name = str(value.name)
    return tensor


def _value_info(name: str, like: Like) -> onnx.ValueInfoProto:
    dtype, shape = like
    return onnx.helper.make_tensor_value_info(
        name, onnx.helper.np_dtype_to_tensor_dtype(dtype), shape
    )
