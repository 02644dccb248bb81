"""Whether a `ModelProto` is a graph that passes can work on."""

from __future__ import annotations

import onnx
from onnx import defs

from lprc.core.errors import InvalidModelError

MAX_SUBGRAPH_DEPTH = 64
_ONNX_DOMAINS = ("", "ai.onnx")


def check_model(proto: onnx.ModelProto, where: str) -> None:
    """Refuse a model that is not valid ONNX, naming the node.

    The check is structural (onnx.checker without shape inference): torch's legacy exporter writes
    LPRNet's MaxPool with a kernel of three on a tensor of four dimensions, which shape inference
    refuses and ``legalize`` repairs.

    Raises:
        InvalidModelError: What is wrong, in one line.
    """
    _check_depth(proto.graph, where)
    _check_opsets(proto, where)
    _check_operators(proto, where)
    try:
        if proto.ByteSize() < onnx.checker.MAXIMUM_PROTOBUF:
            onnx.checker.check_model(_skeleton(proto))
    except onnx.checker.ValidationError as error:
        raise InvalidModelError(_first_lines(error), where=where) from error
    except (ValueError, RuntimeError) as error:
        raise InvalidModelError(f"not a valid graph: {_first_lines(error)}", where=where) from error


def _skeleton(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto` with its external initialisers as inputs: the checker looks for their files."""
    external = {
        tensor.name
        for tensor in proto.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    }
    if not external:
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    kept = [tensor for tensor in copy.graph.initializer if tensor.name not in external]
    declared = {value.name for value in copy.graph.input}
    for tensor in copy.graph.initializer:
        if tensor.name in external - declared:
            copy.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    return copy


def _check_depth(graph: onnx.GraphProto, where: str) -> None:
    pending = [(graph, 1)]
    while pending:
        current, depth = pending.pop()
        if depth > MAX_SUBGRAPH_DEPTH:
            raise InvalidModelError(
                f"subgraphs are nested more than {MAX_SUBGRAPH_DEPTH} deep", where=where
            )
        for node in current.node:
            for attribute in node.attribute:
                pending.extend((inner, depth + 1) for inner in attribute.graphs)
                if attribute.type == onnx.AttributeProto.GRAPH:
                    pending.append((attribute.g, depth + 1))


def _check_opsets(proto: onnx.ModelProto, where: str) -> None:
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    if not any(domain in versions for domain in _ONNX_DOMAINS) and any(
        node.domain in _ONNX_DOMAINS for node in proto.graph.node
    ):
        raise InvalidModelError("it imports no version of the ONNX operator set", where=where)
    newest = defs.onnx_opset_version()
    for domain in _ONNX_DOMAINS:
        if versions.get(domain, 0) > newest:
            raise InvalidModelError(
                f"opset {versions[domain]} is newer than {newest}, the newest known here",
                where=where,
                hint="upgrade the onnx package, or export with an older opset",
            )
    if proto.ir_version > onnx.IR_VERSION:
        raise InvalidModelError(
            f"IR version {proto.ir_version} is newer than {onnx.IR_VERSION}, the newest known here",
            where=where,
            hint="upgrade the onnx package",
        )


def _check_operators(proto: onnx.ModelProto, where: str) -> None:
    """An unknown operator of the ONNX domain; the checker's own message names no node."""
    version = next(
        (entry.version for entry in proto.opset_import if entry.domain in _ONNX_DOMAINS), 1
    )
    local = {(function.domain, function.name) for function in proto.functions}
    for node in proto.graph.node:
        if node.domain in _ONNX_DOMAINS and (node.domain, node.op_type) not in local:
            try:
                defs.get_schema(node.op_type, version, "")
            except defs.SchemaError as error:
                raise InvalidModelError(
                    f"no operator '{node.op_type}' in opset {version}",
                    where=f"{where}: node '{node.name or node.op_type}'",
                    hint="an operator of one's own belongs to a domain of one's own",
                ) from error


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith("==> Context")]
    context = [line.removeprefix("==> Context: ") for line in lines if line.startswith("==> Con")]
    return " ".join((kept or lines or [type(error).__name__])[:1] + context)[:300]
