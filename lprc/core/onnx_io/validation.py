"""Whether a `ModelProto` is a graph that passes can work on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import onnx
from google.protobuf.message import Error as ProtobufError
from onnx import defs

from lprc.core.errors import InvalidModelError
from lprc.core.graph import vendor_inference
from lprc.core.onnx_io.bodies import ONNX_DOMAINS, Body, bodies, node_label, with_versions
from lprc.core.onnx_io.function_rules import check_functions, check_references
from lprc.core.onnx_io.node_rules import check_nodes
from lprc.core.onnx_io.scopes import check_names
from lprc.core.onnx_io.tensor_rules import check_declared_shapes, check_tensors, type_name

MAX_SUBGRAPH_DEPTH = 64
_TYPE_ERRORS = ("typestr", "inconsistent type", "Inferred elem type differs")
_WRONG_SIZE = "has incorrect size"
_NOISE = re.compile(r"Inference error\(s\): |\[(Shape|Type)InferenceError\] ")
_PAIR = re.compile(r"\((\d+)\) vs \((\d+)\)")
_SMALL = 1024
"""Tensors of at most this many bytes go along to shape inference: they may be shapes."""


def check_model(proto: onnx.ModelProto, where: str) -> str | None:
    """Refuse a model that is not valid ONNX, naming the node.

    Structure is checked strictly, and so are element types. Shapes are not: torch's legacy
    exporter writes LPRNet's MaxPool with a kernel of three on a tensor of four dimensions, which
    shape inference refuses and ``legalize`` repairs.

    Returns:
        What shape inference holds against the model all the same, in one line; None for nothing.

    Raises:
        InvalidModelError: What is wrong, in one line.
    """
    _check_depth(proto, where)
    _check_text(proto, where)
    _check_versions(proto, where)
    check_functions(proto, where)
    _check_operators(proto, where)
    check_names(proto, where)
    _check_sparse(proto, where)
    _check_external(proto, where)
    check_tensors(proto, where)
    check_references(proto, where)
    _check_structure(proto, where)
    check_nodes(proto, where)
    check_declared_shapes(proto, where)
    return _check_types(proto, where)


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


def _texts(body: Body) -> Iterator[object]:
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
    for function in proto.functions:
        for entry in function.opset_import:
            if entry.domain in ONNX_DOMAINS:
                _check_version(entry.version, f"{where}: function '{function.name}'")
    versions = {entry.version for entry in proto.opset_import if entry.domain in ONNX_DOMAINS}
    if not versions:
        if any(node.domain in ONNX_DOMAINS for node in proto.graph.node):
            raise InvalidModelError("it imports no version of the ONNX operator set", where=where)
        return
    if len(versions) > 1:
        listed = " and ".join(map(str, sorted(versions)))
        raise InvalidModelError(f"it imports opset {listed} at once", where=where)
    (version,) = versions
    _check_version(version, where)


def _check_version(version: int, where: str) -> None:
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
    seen: set[tuple[str, int]] = set()
    for body, version in with_versions(proto):
        for node in body.node:
            key = (node.op_type, version)
            if node.domain not in ONNX_DOMAINS or key in seen:
                continue
            if (node.domain, node.op_type) not in local and not _exists(*key):
                raise InvalidModelError(
                    f"no operator '{node.op_type}' in opset {version}",
                    where=f"{where}: {node_label(node)}",
                    hint="an operator of one's own belongs to a domain of one's own",
                )
            seen.add(key)


def _exists(op_type: str, version: int) -> bool:
    try:
        defs.get_schema(op_type, version, "")
    except defs.SchemaError:
        return False
    return True


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
    # The checker looks for external files, relative to the working folder.
    light = without_initializers(proto, _is_external)
    with _refused(where):
        onnx.checker.check_model(light)


def _check_types(proto: onnx.ModelProto, where: str) -> str | None:
    light = _dense(without_initializers(proto, lambda tensor: len(tensor.raw_data) > _SMALL))
    with _refused(where):
        try:
            vendor_inference.infer_shapes(light, check_type=True, strict_mode=True)
        except onnx.shape_inference.InferenceError as error:
            _refuse_telling(str(error).splitlines(), where, error)
            # What is left is wrong about shapes only, which passes may repair, if it is about one
            # node; whatever inference can't get past at all, no pass can.
            vendor_inference.infer_shapes(light, check_type=True, strict_mode=False)
            return _NOISE.sub("", str(error).splitlines()[0])[:300]
    return None


def _refuse_telling(lines: list[str], where: str, error: Exception) -> None:
    """Refuse the first complaint that no pass can repair, if there is one."""
    for line in lines:
        wrong_type = any(text in line for text in _TYPE_ERRORS)
        if not wrong_type and (_WRONG_SIZE not in line or "op_type:MaxPool" in line):
            continue
        reason = _NOISE.sub("", line)
        if wrong_type:
            numbers = _PAIR.sub(lambda match: " vs ".join(map(_type_name, match.groups())), reason)
            reason = f"wrong element type: {numbers}"
        raise InvalidModelError(reason[:300], where=where) from error


@contextmanager
def _refused(where: str) -> Iterator[None]:
    """What onnx's own code raises, of which some is no `Exception` of its own, is our error."""
    try:
        yield
    except onnx.checker.ValidationError as error:
        raise InvalidModelError(_first_lines(error), where=where) from error
    except (
        onnx.shape_inference.InferenceError,
        ProtobufError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise InvalidModelError(f"not a valid graph: {_first_lines(error)}", where=where) from error


def _type_name(number: str) -> str:
    return (type_name(int(number)) or number).lower()


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


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith("==> Context")]
    context = [line.removeprefix("==> Context: ") for line in lines if line.startswith("==> Con")]
    return " ".join((kept or lines or [type(error).__name__])[:1] + context)[:300]
