"""Graphs as text that people and diffs can read: sorted, with weights as fingerprints."""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph.annotations import range_of
from lprc.core.graph.provenance import origins

INLINE_ELEMENTS = 8
"""Tensors of at most this many elements print their values."""

Body = ir.Graph | ir.Function

_DTYPES = {
    "FLOAT": "f32", "DOUBLE": "f64", "FLOAT16": "f16", "BFLOAT16": "bf16", "INT8": "i8",
    "INT16": "i16", "INT32": "i32", "INT64": "i64", "UINT8": "u8", "UINT16": "u16",
    "UINT32": "u32", "UINT64": "u64", "BOOL": "bool", "STRING": "string",
}  # fmt: skip
_PLAIN = re.compile(r"[^\s\"#%(),=:{}\[\]]+\Z")


def model_text(model: ir.Model, *, show_origins: bool = False) -> str:
    """`model` as text, one line a node: ``%y: f32[1,64] = Gemm(%x, %w, %b) {transB=1}``.

    Equal models print equally whatever the order of their nodes and initialisers: nodes stand in
    topological order with ties broken by name, initialisers by name.

    Args:
        model: The model.
        show_origins: Whether each node's source nodes stand behind it as a comment.
    """
    return "\n".join(_model_lines(model, _Style(show_origins=show_origins))) + "\n"


def model_hash(model: ir.Model) -> str:
    """SHA-256 (hex) of what `model` computes and what things in it are called.

    Nodes' names, types and shapes, every attribute and every weight in full count; documentation,
    metadata and the order of nodes do not.
    """
    digest = hashlib.sha256()
    for line in _model_lines(model, _Style(in_full=True)):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def type_text(value: ir.Value) -> str:
    """The element type and shape of `value` as `model_text` prints them; ``?`` if unknown."""
    return _type(value)


def attribute_text(attribute: ir.Attr, *, in_full: bool = False) -> str:
    """An attribute's value as `model_text` (or, `in_full`, `model_hash`) sees it; not of graphs."""
    return _attribute(attribute, _Style(in_full=in_full))


def tensor_hash(tensor: ir.TensorProtocol) -> str:
    """SHA-256 (hex) of a tensor's element type, shape and values."""
    return _fingerprint(tensor)


@dataclass(frozen=True)
class _Style:
    """How much to print.

    Attributes:
        show_origins: Source nodes, behind each node.
        in_full: Nodes' names, floats to the last bit and fingerprints of full length.
    """

    show_origins: bool = False
    in_full: bool = False


def _model_lines(model: ir.Model, style: _Style) -> Iterator[str]:
    yield f"opset {_imports(model.graph.opset_imports)}"
    yield f"graph {_signature(model.graph)}"
    yield from _body_lines(model.graph, "  ", style)
    for _, function in sorted(model.functions.items()):
        yield _function_line(function, style)
        yield from _body_lines(function, "  ", style)


def _imports(versions: dict[str, int]) -> str:
    return ", ".join(
        f"{domain or 'onnx'} {version}" for domain, version in sorted(versions.items())
    )


def _function_line(function: ir.Function, style: _Style) -> str:
    name = ".".join(part for part in function.identifier() if part)
    inputs = ", ".join(map(_name, function.inputs))
    outputs = ", ".join(map(_name, function.outputs))
    attributes = [
        attribute.name
        if attribute.value is None
        else f"{attribute.name}={_attribute(attribute, style)}"
        for attribute in sorted(function.attributes.values(), key=lambda item: item.name)
    ]
    described = f" {{{', '.join(attributes)}}}" if attributes else ""
    imports = _imports(function.opset_imports)
    return f"function {name} ({inputs}) -> ({outputs}){described}, opset {imports}"


def _signature(graph: ir.Graph) -> str:
    return f"({', '.join(map(_typed, graph.inputs))}) -> ({', '.join(map(_typed, graph.outputs))})"


def _body_lines(body: Body, indent: str, style: _Style) -> Iterator[str]:
    if isinstance(body, ir.Graph):
        for _, value in sorted(body.initializers.items()):
            yield f"{indent}{_name(value)} = {_tensor(value.const_value, style)}"
    for node in _ordered(body):
        yield indent + _node_line(node, style)
        for attribute in _sorted_attributes(node):
            for inner in _subgraphs(attribute):
                yield f"{indent}  {attribute.name} {_signature(inner)}"
                yield from _body_lines(inner, indent + "    ", style)


def _node_line(node: ir.Node, style: _Style) -> str:
    # Trailing outputs without a name are outputs that are left out.
    outputs = ", ".join(_typed(value) if value.name else "-" for value in node.outputs)
    inputs = ", ".join("-" if value is None else _name(value) for value in node.inputs)
    operator = ".".join(part for part in (node.domain, node.op_type) if part)
    if node.overload:
        operator += f":{node.overload}"
    name = f"  # name {_quoted(node.name or '')}" if style.in_full else ""
    came_from = f"  # {', '.join(origins(node))}" if style.show_origins else ""
    return f"{outputs} = {operator}({inputs}){_attributes(node, style)}{name}{came_from}"


def _ordered(body: Body) -> list[ir.Node]:
    """Topological order with ties broken by the first output's name."""
    nodes = list(body)
    index = {id(node): position for position, node in enumerate(nodes)}
    waiting: list[int] = []
    users: list[list[int]] = [[] for _ in nodes]
    for position, node in enumerate(nodes):
        producers = {
            index[id(producer)]
            for value in _used(node)
            if (producer := value.producer()) is not None and id(producer) in index
        }
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
    # Nodes on a cycle never become ready; they are printed all the same, for error reports.
    printed = set(map(id, ordered))
    return ordered + [node for node in nodes if id(node) not in printed]


def _used(node: ir.Node) -> Iterator[ir.Value]:
    """The values that a node or its subgraphs use, those made inside the subgraphs included."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        for graph in _subgraphs(attribute):
            yield from graph.outputs
            for inner in graph:
                yield from _used(inner)


def _sort_key(node: ir.Node) -> str:
    return next((value.name for value in node.outputs if value.name), node.name or "")


def _subgraphs(attribute: ir.Attr) -> list[ir.Graph]:
    if attribute.ref_attr_name is not None:
        return []
    if attribute.type == ir.AttributeType.GRAPH:
        return [attribute.value]
    return list(attribute.value) if attribute.type == ir.AttributeType.GRAPHS else []


def _sorted_attributes(node: ir.Node) -> list[ir.Attr]:
    return sorted(node.attributes.values(), key=lambda item: item.name)


def _name(value: ir.Value) -> str:
    return f"%{_quoted(value.name or '')}"


def _quoted(text: str) -> str:
    return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


def _typed(value: ir.Value) -> str:
    return f"{_name(value)}: {_type(value)}{_range(value)}"


def _range(value: ir.Value) -> str:
    found = range_of(value)
    return "" if found is None else f" in [{found.low:.9g}, {found.high:.9g}]"


def _type(value: ir.Value) -> str:
    if value.type is None:
        return "?"
    if not isinstance(value.type, ir.TensorType):
        return str(value.type)
    element = _dtype(value.dtype)
    return element if value.shape is None else f"{element}{_shape(value.shape)}"


def _dtype(dtype: ir.DataType | None) -> str:
    return "?" if dtype is None else _DTYPES.get(dtype.name, dtype.name.lower())


def _shape(shape: Iterable[int | ir.SymbolicDim]) -> str:
    dims = (dim if isinstance(dim, int) else (dim.value or "?") for dim in shape)
    return f"[{','.join(map(str, dims))}]"


def _attributes(node: ir.Node, style: _Style) -> str:
    texts = [
        f"{attribute.name}={_attribute(attribute, style)}"
        for attribute in _sorted_attributes(node)
        if not _subgraphs(attribute)
    ]
    return f" {{{', '.join(texts)}}}" if texts else ""


def _attribute(attribute: ir.Attr, style: _Style) -> str:
    if attribute.ref_attr_name is not None:
        return f"@{attribute.ref_attr_name}"
    value = attribute.value
    if attribute.type == ir.AttributeType.TENSOR:
        return _tensor(value, style)
    if attribute.type == ir.AttributeType.TENSORS:
        return f"[{', '.join(_tensor(item, style) for item in value)}]"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_scalar(item, style) for item in value)}]"
    return _scalar(value, style)


def _scalar(value: Any, style: _Style) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return repr(value) if style.in_full else _short_float(value)
    return str(value)


def _short_float(value: float) -> str:
    """The fewest digits that tell a float32 from others; nine for what is not a float32."""
    with np.errstate(over="ignore"):
        single = np.float32(value)
    text = str(single) if float(single) == value else f"{value:.9g}"
    return text.removesuffix(".0")


def _tensor(tensor: Any, style: _Style) -> str:
    if tensor is None:
        return "?"
    described = f"{_dtype(tensor.dtype)}{_shape(tensor.shape)}"
    if tensor.size > INLINE_ELEMENTS or style.in_full:
        fingerprint = _fingerprint(tensor)
        return f"{described} #{fingerprint if style.in_full else fingerprint[:6]}"
    if tensor.dtype == ir.DataType.STRING:
        values = list(tensor.string_data())
    else:
        values = np.asarray(tensor.numpy()).reshape(-1).tolist()
    return f"{described} {{{', '.join(_scalar(value, style) for value in values)}}}"


def _fingerprint(tensor: Any) -> str:
    digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode())
    if tensor.dtype == ir.DataType.STRING:
        digest.update(repr(list(tensor.string_data())).encode())
    else:
        digest.update(tensor.tobytes())
    return digest.hexdigest()
