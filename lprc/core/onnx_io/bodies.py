"""The graphs inside a `ModelProto`, and what to call its nodes in messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from lprc.core.errors import InvalidModelError

ONNX_DOMAINS = ("", "ai.onnx")

Body = onnx.GraphProto | onnx.FunctionProto


def bodies(proto: onnx.ModelProto) -> Iterator[tuple[Body, int]]:
    """The graph, the functions and every subgraph in them, each with its depth from 1."""
    pending: list[tuple[Body, int]] = [(proto.graph, 1)]
    pending.extend((function, 1) for function in proto.functions)
    while pending:
        body, depth = pending.pop()
        yield body, depth
        for node in body.node:
            # Most nodes have none: no iterator is made for those.
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH or attribute.graphs:
                    pending.extend((inner, depth + 1) for inner in _graphs(attribute))


def _graphs(attribute: onnx.AttributeProto) -> Iterator[onnx.GraphProto]:
    yield from attribute.graphs
    if attribute.type == onnx.AttributeProto.GRAPH:
        yield attribute.g


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among the attributes of `node`."""
    for attribute in node.attribute:
        yield from _graphs(attribute)


def with_subgraphs(body: Body) -> Iterator[Body]:
    """`body` and every graph inside it."""
    yield body
    for node in body.node:
        for inner in subgraphs(node):
            yield from with_subgraphs(inner)


def with_versions(proto: onnx.ModelProto) -> Iterator[tuple[Body, int]]:
    """Every body of `proto` with the version of the ONNX operator set that it is written in."""
    for body in (proto.graph, *proto.functions):
        imports = body.opset_import if isinstance(body, onnx.FunctionProto) else proto.opset_import
        version = onnx_version(imports)
        for inner in with_subgraphs(body):
            yield inner, version


def onnx_version(imports: Iterable[onnx.OperatorSetIdProto]) -> int:
    """The version of the ONNX operator set among `imports`; 1 where there is none."""
    return next((entry.version for entry in imports if entry.domain in ONNX_DOMAINS), 1)


def node_label(node: onnx.NodeProto) -> str:
    """``node 'conv1' (Conv)``, or what the node makes where it has no name."""
    return f"node '{node.name}' ({node.op_type})" if node.name else _unnamed(node)


def short_label(node: onnx.NodeProto) -> str:
    """The node's name, or what it makes."""
    return node.name or _unnamed(node)


def _unnamed(node: onnx.NodeProto) -> str:
    first_output = next(iter(node.output), "")
    return f"the {node.op_type} that makes '{first_output}'"


def blame(
    node: onnx.NodeProto, message: str, where: str, *, hint: str | None = None
) -> InvalidModelError:
    """The error that says what is wrong with `node` of the file `where`."""
    return InvalidModelError(
        message, where=f"{where}: {node_label(node)}", hint=hint, node=node.name or None
    )
