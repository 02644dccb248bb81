"""Whether a `ModelProto` is a graph that passes can work on."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import onnx
from onnx import defs

from lprc.core.errors import InvalidModelError

MAX_SUBGRAPH_DEPTH = 64
_ONNX_DOMAINS = ("", "ai.onnx")
_TYPE_ERRORS = ("typestr", "inconsistent type", "Inferred elem type differs")
_NOISE = re.compile(r"Inference error\(s\): |\[(Shape|Type)InferenceError\] ")
_PAIR = re.compile(r"\((\d+)\) vs \((\d+)\)")
_SMALL = 1024
"""Tensors of at most this many bytes go along to shape inference: they may be shapes."""


def check_model(proto: onnx.ModelProto, where: str) -> None:
    """Refuse a model that is not valid ONNX, naming the node.

    Structure is checked strictly, and so are element types. Shapes are not: torch's legacy
    exporter writes LPRNet's MaxPool with a kernel of three on a tensor of four dimensions, which
    shape inference refuses and ``legalize`` repairs.

    Raises:
        InvalidModelError: What is wrong, in one line.
    """
    _check_depth(proto, where)
    _check_text(proto, where)
    _check_versions(proto, where)
    _check_operators(proto, where)
    _check_names(proto, where)
    _check_sparse(proto, where)
    _check_external(proto, where)
    _check_structure(proto, where)
    _check_types(proto, where)


def bodies(proto: onnx.ModelProto) -> Iterator[tuple[onnx.GraphProto | onnx.FunctionProto, int]]:
    """The graph, the functions and every subgraph in them, each with its depth from 1."""
    pending: list[tuple[onnx.GraphProto | onnx.FunctionProto, int]] = [(proto.graph, 1)]
    pending.extend((function, 1) for function in proto.functions)
    while pending:
        body, depth = pending.pop()
        yield body, depth
        for node in body.node:
            pending.extend((inner, depth + 1) for inner in _subgraphs(node))


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g


def _check_depth(proto: onnx.ModelProto, where: str) -> None:
    for _, depth in bodies(proto):
        if depth > MAX_SUBGRAPH_DEPTH:
            raise InvalidModelError(
                f"subgraphs are nested more than {MAX_SUBGRAPH_DEPTH} deep", where=where
            )


def _check_text(proto: onnx.ModelProto, where: str) -> None:
    """Protobuf hands out text that is not UTF-8 as bytes, which nothing further on expects."""
    for body, _ in bodies(proto):
        for text in _texts(body):
            if isinstance(text, bytes):
                raise InvalidModelError(f"the name {text!r} is not UTF-8", where=where)


def _texts(body: onnx.GraphProto | onnx.FunctionProto) -> Iterator[object]:
    yield body.name
    for node in body.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
    if isinstance(body, onnx.FunctionProto):
        yield from (body.domain, *body.input, *body.output, *body.attribute)
        return
    for holders in (body.input, body.output, body.value_info, body.initializer):
        yield from (holder.name for holder in holders)


def _check_versions(proto: onnx.ModelProto, where: str) -> None:
    if proto.ir_version > onnx.IR_VERSION:
        raise InvalidModelError(
            f"IR version {proto.ir_version} is newer than {onnx.IR_VERSION}, the newest known here",
            where=where,
            hint="upgrade the onnx package",
        )
    versions = {entry.version for entry in proto.opset_import if entry.domain in _ONNX_DOMAINS}
    if not versions:
        if any(node.domain in _ONNX_DOMAINS for node in proto.graph.node):
            raise InvalidModelError("it imports no version of the ONNX operator set", where=where)
        return
    if len(versions) > 1:
        listed = " and ".join(map(str, sorted(versions)))
        raise InvalidModelError(f"it imports opset {listed} at once", where=where)
    (version,) = versions
    newest = defs.onnx_opset_version()
    if not 1 <= version <= newest:
        reason = f"newer than {newest}, the newest known here" if version > 0 else "not a version"
        raise InvalidModelError(
            f"opset {version} is {reason}",
            where=where,
            hint="upgrade the onnx package, or export with an older opset",
        )


def _check_operators(proto: onnx.ModelProto, where: str) -> None:
    """Refuse an unknown operator of the ONNX domain; the checker's own message names no node."""
    local = {(function.domain, function.name) for function in proto.functions}
    main = _onnx_version(proto.opset_import)
    functions = {
        id(inner): _onnx_version(function.opset_import)
        for function in proto.functions
        for inner in _with_subgraphs(function)
    }
    known: set[tuple[str, int]] = set()
    for body, _ in bodies(proto):
        version = functions.get(id(body), main)
        for node in body.node:
            key = (node.op_type, version)
            if node.domain not in _ONNX_DOMAINS or key in known:
                continue
            if (node.domain, node.op_type) not in local and not _exists(*key):
                raise InvalidModelError(
                    f"no operator '{node.op_type}' in opset {version}",
                    where=f"{where}: {_label(node)}",
                    hint="an operator of one's own belongs to a domain of one's own",
                )
            known.add(key)


def _with_subgraphs(
    body: onnx.GraphProto | onnx.FunctionProto,
) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    yield body
    for node in body.node:
        for inner in _subgraphs(node):
            yield from _with_subgraphs(inner)


def _onnx_version(imports: Iterable[onnx.OperatorSetIdProto]) -> int:
    return next((entry.version for entry in imports if entry.domain in _ONNX_DOMAINS), 1)


def _exists(op_type: str, version: int) -> bool:
    try:
        defs.get_schema(op_type, version, "")
    except defs.SchemaError:
        return False
    return True


def _check_names(proto: onnx.ModelProto, where: str) -> None:
    """Refuse a node that reads what no node before it makes, and say which of three it is."""
    _check_scope(proto.graph, _declared(proto.graph), where)
    for function in proto.functions:
        _check_scope(function, set(function.input), f"{where}: function '{function.name}'")


def _declared(graph: onnx.GraphProto) -> set[str]:
    return {
        *(value.name for value in graph.input),
        *(tensor.name for tensor in graph.initializer),
        *(tensor.values.name for tensor in graph.sparse_initializer),
    }


def _check_scope(body: onnx.GraphProto | onnx.FunctionProto, known: set[str], where: str) -> None:
    """Check `body`; `known` are the names that it may use, its own inputs among them."""
    made = []
    for node in body.node:
        for name in node.input:
            if name and name not in known:
                raise _missing(body, node, name, where)
        for inner in _subgraphs(node):
            fresh = _declared(inner) - known
            known |= fresh
            _check_scope(inner, known, where)
            known -= fresh
        fresh_outputs = [name for name in node.output if name not in known]
        known.update(fresh_outputs)
        made += fresh_outputs
    # The caller's scope does not see what a subgraph makes.
    known.difference_update(made)


def _missing(
    body: onnx.GraphProto | onnx.FunctionProto, node: onnx.NodeProto, name: str, where: str
) -> InvalidModelError:
    place = f"{where}: {_label(node)}"
    producers = {output: index for index, each in enumerate(body.node) for output in each.output}
    if name not in producers:
        return InvalidModelError(f"nothing makes its input '{name}'", where=place)
    sorter: graphlib.TopologicalSorter[int] = graphlib.TopologicalSorter()
    for index, each in enumerate(body.node):
        sorter.add(index, *(producers[used] for used in each.input if used in producers))
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        cycle = " <- ".join(_short(body.node[index]) for index in error.args[1][:6])
        return InvalidModelError(f"the graph has a cycle: {cycle}", where=place)
    return InvalidModelError(
        f"its input '{name}' is made by a later node, {_label(body.node[producers[name]])}",
        where=place,
        hint="ONNX wants nodes in topological order",
    )


def _check_sparse(proto: onnx.ModelProto, where: str) -> None:
    for body, depth in bodies(proto):
        if depth > 1 and isinstance(body, onnx.GraphProto) and body.sparse_initializer:
            name = body.sparse_initializer[0].values.name
            raise InvalidModelError(
                f"initialiser '{name}' of subgraph '{body.name}' is sparse",
                where=where,
                hint="make it dense: only the main graph's sparse initialisers can be read",
            )


def _check_external(proto: onnx.ModelProto, where: str) -> None:
    """Refuse external data but for the main graph's initialisers: onnx-ir reads no other."""
    for body, depth in bodies(proto):
        tensors = [a.t for node in body.node for a in node.attribute if a.HasField("t")]
        tensors += [t for node in body.node for a in node.attribute for t in a.tensors]
        if isinstance(body, onnx.GraphProto) and depth > 1:
            tensors += body.initializer
        for tensor in tensors:
            if _is_external(tensor):
                raise InvalidModelError(
                    "its data is in an external file",
                    where=f"{where}: tensor '{tensor.name}'",
                    hint="only the main graph's initialisers may be external",
                )


def _check_structure(proto: onnx.ModelProto, where: str) -> None:
    try:
        # The checker looks for external files, relative to the working folder.
        onnx.checker.check_model(without_initializers(proto, _is_external))
    except onnx.checker.ValidationError as error:
        raise InvalidModelError(_first_lines(error), where=where) from error
    except (ValueError, RuntimeError) as error:
        raise InvalidModelError(f"not a valid graph: {_first_lines(error)}", where=where) from error


def _check_types(proto: onnx.ModelProto, where: str) -> None:
    light = without_initializers(proto, lambda tensor: len(tensor.raw_data) > _SMALL)
    try:
        onnx.shape_inference.infer_shapes(_dense(light), check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        lines = [line for line in str(error).splitlines() if any(t in line for t in _TYPE_ERRORS)]
        if lines:
            reason = _NOISE.sub("", lines[0])
            reason = _PAIR.sub(lambda match: " vs ".join(map(_type_name, match.groups())), reason)
            raise InvalidModelError(f"wrong element type: {reason}"[:300], where=where) from error
    except (ValueError, RuntimeError) as error:
        raise InvalidModelError(f"not a valid graph: {_first_lines(error)}", where=where) from error


def _type_name(number: str) -> str:
    known = {str(value): name for name, value in onnx.TensorProto.DataType.items()}
    return str(known.get(number, number)).lower()


def _dense(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto` with the main graph's sparse initialisers as dense inputs, which they become."""
    if not proto.graph.sparse_initializer:
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for sparse in proto.graph.sparse_initializer:
        copy.graph.input.append(_as_input(sparse.values, sparse.dims))
    del copy.graph.sparse_initializer[:]
    return copy


def without_initializers(
    proto: onnx.ModelProto, drop: Callable[[onnx.TensorProto], bool]
) -> onnx.ModelProto:
    """`proto` with those of the main graph's initialisers that `drop` names as inputs instead."""
    dropped = [tensor for tensor in proto.graph.initializer if drop(tensor)]
    if not dropped:
        return proto
    light = onnx.ModelProto(ir_version=proto.ir_version)
    light.opset_import.extend(proto.opset_import)
    light.functions.extend(proto.functions)
    light.graph.name = proto.graph.name
    light.graph.node.extend(proto.graph.node)
    light.graph.input.extend(proto.graph.input)
    light.graph.output.extend(proto.graph.output)
    light.graph.value_info.extend(proto.graph.value_info)
    light.graph.sparse_initializer.extend(proto.graph.sparse_initializer)
    light.graph.initializer.extend(t for t in proto.graph.initializer if not drop(t))
    declared = {value.name for value in proto.graph.input}
    light.graph.input.extend(
        _as_input(tensor, tensor.dims) for tensor in dropped if tensor.name not in declared
    )
    return light


def _as_input(tensor: onnx.TensorProto, dims: Sequence[int]) -> onnx.ValueInfoProto:
    # Not make_tensor_value_info: it raises on element types that it doesn't know.
    value = onnx.ValueInfoProto(name=tensor.name)
    value.type.tensor_type.elem_type = tensor.data_type
    for size in dims:
        value.type.tensor_type.shape.dim.add().dim_value = size
    if not dims:
        value.type.tensor_type.shape.SetInParent()
    return value


def _is_external(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def _label(node: onnx.NodeProto) -> str:
    return f"node '{node.name}' ({node.op_type})" if node.name else _unnamed(node)


def _short(node: onnx.NodeProto) -> str:
    return node.name or _unnamed(node)


def _unnamed(node: onnx.NodeProto) -> str:
    made = next(iter(node.output), "")
    return f"the {node.op_type} that makes '{made}'"


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith("==> Context")]
    context = [line.removeprefix("==> Context: ") for line in lines if line.startswith("==> Con")]
    return " ".join((kept or lines or [type(error).__name__])[:1] + context)[:300]
