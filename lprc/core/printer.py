"""Graphs as text that people and diffs can read: sorted, with weights as fingerprints."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.provenance import origins

INLINE_ELEMENTS = 8
"""Tensors of at most this many elements print their values."""

_DTYPES = {
    "FLOAT": "f32", "DOUBLE": "f64", "FLOAT16": "f16", "BFLOAT16": "bf16", "INT8": "i8",
    "INT16": "i16", "INT32": "i32", "INT64": "i64", "UINT8": "u8", "UINT16": "u16",
    "UINT32": "u32", "UINT64": "u64", "BOOL": "bool", "STRING": "string",
}  # fmt: skip


def model_text(model: ir.Model, *, show_origins: bool = False) -> str:
    """`model` as text, one line a node.

    Equal models print equally whatever the order of their nodes and initialisers: nodes stand in
    topological order with ties broken by name, initialisers by name.

    Args:
        model: The model.
        show_origins: Whether each node's source nodes stand behind it as a comment.
    """
    imports = ", ".join(
        f"{domain or 'onnx'} {version}"
        for domain, version in sorted(model.graph.opset_imports.items())
    )
    lines = [f"opset {imports}", *_graph_lines(model.graph, show_origins)]
    for identifier, function in sorted(model.functions.items()):
        lines.append(f"function {'.'.join(part for part in identifier if part)}")
        lines.extend(_body_lines(function, "  ", show_origins))
    return "\n".join(lines) + "\n"


def model_hash(model: ir.Model) -> str:
    """SHA-256 (hex) of what `model` computes: its text with every tensor's full fingerprint.

    Names count; documentation, metadata and the order of nodes do not.
    """
    digest = hashlib.sha256(model_text(model).encode())
    for graph in (model.graph, *model.graph.subgraphs()):
        for name, value in sorted(graph.initializers.items()):
            digest.update(f"{name} {_fingerprint(value.const_value)}\n".encode())
    return digest.hexdigest()


def _graph_lines(graph: ir.Graph, show_origins: bool) -> Iterator[str]:
    yield f"graph {_signature(graph)}"
    yield from _initializer_lines(graph, "  ")
    yield from _body_lines(graph, "  ", show_origins)


def _initializer_lines(graph: ir.Graph, indent: str) -> Iterator[str]:
    for _, value in sorted(graph.initializers.items()):
        yield f"{indent}{_name(value)} = {_tensor(value.const_value)}"


def _body_lines(body: ir.Graph | ir.Function, indent: str, show_origins: bool) -> Iterator[str]:
    for node in _ordered(body):
        outputs = ", ".join(map(_typed, _trimmed(node.outputs)))
        operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        inputs = ", ".join("-" if value is None else _name(value) for value in node.inputs)
        came_from = f"  # {', '.join(origins(node))}" if show_origins else ""
        yield f"{indent}{outputs} = {operator}({inputs}){_attributes(node)}{came_from}"
        for attribute in sorted(node.attributes.values(), key=lambda item: item.name):
            for inner in _subgraphs(attribute):
                yield f"{indent}  {attribute.name} {_signature(inner)}"
                yield from _initializer_lines(inner, indent + "    ")
                yield from _body_lines(inner, indent + "    ", show_origins)


def _signature(graph: ir.Graph) -> str:
    inputs, outputs = (", ".join(map(_typed, each)) for each in (graph.inputs, graph.outputs))
    return f"({inputs}) -> ({outputs})"


def _trimmed(outputs: Any) -> list[ir.Value]:
    return [value for value in outputs if value.name]


def _ordered(body: ir.Graph | ir.Function) -> list[ir.Node]:
    """Topological order with ties broken by the first output's name."""
    nodes = list(body)
    index = {id(node): position for position, node in enumerate(nodes)}
    waiting: list[int] = []
    users: list[list[int]] = [[] for _ in nodes]
    for position, node in enumerate(nodes):
        producers = {
            index[id(producer)]
            for value in _all_inputs(node)
            if (producer := value.producer()) is not None and id(producer) in index
        } - {position}
        waiting.append(len(producers))
        for producer_position in producers:
            users[producer_position].append(position)
    ready = [(_sort_key(nodes[i]), i) for i, count in enumerate(waiting) if count == 0]
    heapq.heapify(ready)
    ordered = []
    while ready:
        _, position = heapq.heappop(ready)
        ordered.append(nodes[position])
        for user in users[position]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, (_sort_key(nodes[user]), user))
    return ordered


def _all_inputs(node: ir.Node) -> Iterator[ir.Value]:
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        for graph in _subgraphs(attribute):
            for inner in graph:
                yield from _all_inputs(inner)


def _sort_key(node: ir.Node) -> str:
    return next((value.name for value in node.outputs if value.name), node.name or "")


def _subgraphs(attribute: ir.Attr) -> list[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPH:
        return [attribute.value]
    return list(attribute.value) if attribute.type == ir.AttributeType.GRAPHS else []


def _name(value: ir.Value) -> str:
    return f"%{value.name}"


def _typed(value: ir.Value) -> str:
    return f"{_name(value)}: {_type(value)}"


def _type(value: ir.Value) -> str:
    if value.type is None:
        return "?"
    if not isinstance(value.type, ir.TensorType):
        return str(value.type)
    element = _dtype(value.dtype)
    return element if value.shape is None else f"{element}{_shape(value.shape)}"


def _dtype(dtype: ir.DataType | None) -> str:
    return "?" if dtype is None else _DTYPES.get(dtype.name, dtype.name.lower())


def _shape(shape: Any) -> str:
    dims = (dim if isinstance(dim, int) else (dim.value or "?") for dim in shape)
    return f"[{','.join(map(str, dims))}]"


def _attributes(node: ir.Node) -> str:
    texts = [
        f"{attribute.name}={_attribute(attribute)}"
        for attribute in sorted(node.attributes.values(), key=lambda item: item.name)
        if not _subgraphs(attribute)
    ]
    return f" {{{', '.join(texts)}}}" if texts else ""


def _attribute(attribute: ir.Attr) -> str:
    if attribute.ref_attr_name is not None:
        return f"@{attribute.ref_attr_name}"
    value = attribute.value
    if attribute.type == ir.AttributeType.TENSOR:
        return _tensor(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_scalar, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _tensor(tensor: Any) -> str:
    if tensor is None:
        return "?"
    described = f"{_dtype(tensor.dtype)}{_shape(tensor.shape)}"
    if tensor.size <= INLINE_ELEMENTS and tensor.dtype != ir.DataType.STRING:
        values = np.asarray(tensor.numpy()).reshape(-1).tolist()
        return f"{described} {{{', '.join(map(_scalar, values))}}}"
    return f"{described} #{_fingerprint(tensor)[:6]}"


def _fingerprint(tensor: Any) -> str:
    if tensor is None:
        return ""
    digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode())
    if tensor.dtype == ir.DataType.STRING:
        digest.update(repr(list(tensor.string_data())).encode())
    else:
        digest.update(tensor.tobytes())
    return digest.hexdigest()
