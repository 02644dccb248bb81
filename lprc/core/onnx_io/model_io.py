"""Models from and to ONNX files: checked on the way in, deterministic on the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, EncodeError

from lprc.core.errors import InvalidModelError, OutputError
from lprc.core.files.atomic import atomic_file, atomic_pair
from lprc.core.files.regular import read_regular
from lprc.core.graph.contradictions import remember_contradiction
from lprc.core.onnx_io import gzip_files as compressed
from lprc.core.onnx_io.bodies import bodies
from lprc.core.onnx_io.dimensions import make_symbolic, meaningless_dimensions
from lprc.core.onnx_io.external_data import check_locations
from lprc.core.onnx_io.sparse_initializers import densify
from lprc.core.onnx_io.validation import check_model
from lprc.core.process.collector import collector_paused

PROTOBUF_LIMIT = 2_000_000_000
"""Bytes of a protobuf message, a little under its limit of 2 GiB."""


@collector_paused()
def load(path: Path) -> ir.Model:
    """Read and check an ONNX file.

    Weights in external files stay there and are read when used; they must lie in the model's
    folder. Sparse initialisers become dense ones, because onnx-ir would drop them.

    Raises:
        InvalidModelError: Missing, empty, truncated, not ONNX, or not a valid graph.
    """
    path, where = Path(path), str(path)
    with _blaming(path):
        proto, complaint = _read_checked(path, where)
        densify(proto, where)
        model = _deserialize(proto, where)
        remember_contradiction(model, complaint)
        _attach_external(model, path.parent, where)
    return model


@collector_paused()
def check_file(path: Path) -> None:
    """Check an ONNX file as `load` does, for whoever hands it to a runtime as it is.

    Raises:
        InvalidModelError: As of `load`.
    """
    with _blaming(path):
        _read_checked(path, str(path))


def _read_checked(path: Path, where: str) -> tuple[onnx.ModelProto, str | None]:
    proto = _read(path)
    make_symbolic(meaningless_dimensions(proto))
    _check_locations(proto, path.parent, where)
    return proto, check_model(proto, where)


@collector_paused()
def from_proto(proto: onnx.ModelProto, *, where: str = "model") -> ir.Model:
    """Check a model in memory, all of whose weights are inside, and make it an `ir.Model`.

    Raises:
        InvalidModelError: Not a valid graph.
    """
    if meaningless_dimensions(proto) or proto.graph.sparse_initializer:
        copy = onnx.ModelProto()  # the caller's stays as it is
        copy.CopyFrom(proto)
        proto = copy
        make_symbolic(meaningless_dimensions(proto))
    complaint = check_model(proto, where)
    densify(proto, where)
    model = _deserialize(proto, where)
    remember_contradiction(model, complaint)
    return model


@collector_paused()
def to_proto(model: ir.Model) -> onnx.ModelProto:
    """`model` as a `ModelProto` whose unordered fields are sorted; external weights stay external.

    Raises:
        InvalidModelError: It can't be written as ONNX, for instance for a name that is not UTF-8.
    """
    try:
        proto = ir.serde.serialize_model(model)
    except ir.serde.SerdeError as error:
        raise InvalidModelError(f"can't be written as ONNX: {_root_cause(error)}") from error
    _sort(proto)
    return proto


def to_bytes(model: ir.Model) -> bytes:
    """`model` as deterministic bytes, weights inside.

    Raises:
        OutputError: It is larger than a protobuf message can be (2 GiB).
    """
    too_large = OutputError(
        "the model is larger than 2 GiB", hint="save it; its weights go into a file beside it"
    )
    if weight_bytes(model) > PROTOBUF_LIMIT:
        raise too_large
    with _weights_restored(model):
        ir.external_data.load_to_model(model)
        proto = to_proto(model)
    try:
        return bytes(proto.SerializeToString(deterministic=True))
    except (ValueError, EncodeError) as error:
        raise too_large from error


def save(model: ir.Model, path: Path) -> None:
    """Write `model` deterministically and atomically; over 2 GB of weights go to ``NAME.data``.

    A name that ends with ``.gz`` is packed, and `load` reads it too.

    Raises:
        OutputError: The file can't be written.
    """
    path = Path(path)
    if weight_bytes(model) <= PROTOBUF_LIMIT:
        data = to_bytes(model)
        if compressed.is_packed(path):
            data = compressed.pack(data)
        with atomic_file(path) as temporary:
            temporary.write_bytes(data)
        return
    if compressed.is_packed(path):
        raise OutputError("more than 2 GB can't be packed", where=str(path), hint="drop .gz")
    with (
        atomic_pair(path, path.with_name(f"{path.name}.data")) as (temporary, weights),
        _weights_restored(model),
    ):
        ir.external_data.unload_from_model(model, temporary.parent, weights.name)
        temporary.write_bytes(to_proto(model).SerializeToString(deterministic=True))


def weight_bytes(model: ir.Model) -> int:
    """The bytes of all initialisers."""
    tensors = (value.const_value for value in _initializers(model))
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def _read(path: Path) -> onnx.ModelProto:
    where = str(path)
    try:
        if path.is_dir():
            raise InvalidModelError("is a folder, not an ONNX file", where=where)
        if path.exists() and not path.is_file():
            raise InvalidModelError("is not a regular file", where=where)
        size = path.stat().st_size
        if size > onnx.checker.MAXIMUM_PROTOBUF:
            raise InvalidModelError(
                "is larger than the 2 GiB that an ONNX file can be",
                where=where,
                hint="export it with its weights in an external file",
            )
        data = read_regular(path)
    except FileNotFoundError as error:
        raise InvalidModelError("no such file", where=where) from error
    except OSError as error:
        raise InvalidModelError(f"can't be read: {error.strerror}", where=where) from error
    if not data:
        raise InvalidModelError("the file is empty", where=where)
    if compressed.is_packed(path):
        data = compressed.unpack(data, where, onnx.checker.MAXIMUM_PROTOBUF)
    try:
        proto: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except (DecodeError, RecursionError) as error:
        raise InvalidModelError(
            "not an ONNX file, a truncated one, or one that is nested too deeply",
            where=where,
            hint="export or copy it again",
        ) from error
    if not proto.HasField("graph"):
        raise InvalidModelError("not an ONNX model: it has no graph", where=where)
    return proto


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except InvalidModelError as error:
        error.path = path
        raise


def _check_locations(proto: onnx.ModelProto, folder: Path, where: str) -> None:
    try:
        check_locations(proto, folder, where)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidModelError(f"an external file can't be read: {error}", where=where) from error


def _deserialize(proto: onnx.ModelProto, where: str) -> ir.Model:
    try:
        return ir.serde.deserialize_model(proto)
    except (ir.serde.SerdeError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidModelError(f"not a valid graph: {_root_cause(error)}", where=where) from error


def _attach_external(model: ir.Model, folder: Path, where: str) -> None:
    """Let external weights be read from `folder`, if their files are as long as they should be."""
    for value in model.graph.initializers.values():
        tensor = value.const_value
        if not isinstance(tensor, ir.ExternalTensor):
            continue
        place = f"{where}: tensor '{tensor.name}'"
        location = Path(tensor.location)
        if location.is_absolute():
            raise InvalidModelError("the path of its data is absolute", where=place)
        needed = tensor.nbytes if tensor.length is None else max(tensor.length, tensor.nbytes)
        if (tensor.offset or 0) + needed > (folder / location).stat().st_size:
            raise InvalidModelError(f"its data file '{location}' is too short", where=place)
        if tensor.length is not None and tensor.length < tensor.nbytes:
            raise InvalidModelError(
                f"it has {tensor.length} bytes and needs {tensor.nbytes}", where=place
            )
        tensor.base_dir = folder


def _root_cause(error: BaseException) -> str:
    """onnx-ir wraps an error once for each level of the graph, around the one that says why."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def _initializers(model: ir.Model) -> Iterator[ir.Value]:
    for graph in model.graphs():
        yield from graph.initializers.values()


@contextmanager
def _weights_restored(model: ir.Model) -> Iterator[None]:
    """Whatever the block does to where weights are kept, they are kept where they were after it."""
    kept = [(value, value.const_value) for value in _initializers(model)]
    try:
        yield
    finally:
        for value, tensor in kept:
            value.const_value = tensor


def _sort(proto: onnx.ModelProto) -> None:
    """Sort what ONNX gives no order: opset imports and metadata."""
    proto.opset_import.sort(key=_domain)
    _sort_metadata(proto)
    for function in proto.functions:
        function.opset_import.sort(key=_domain)
    for body, _ in bodies(proto):
        _sort_metadata(body)
        values: list[Any] = [*body.node, *body.value_info]
        if isinstance(body, onnx.GraphProto):
            values += [*body.input, *body.output, *body.initializer]
        for value in values:
            _sort_metadata(value)


def _domain(entry: onnx.OperatorSetIdProto) -> str:
    return entry.domain


def _sort_metadata(holder: Any) -> None:
    if len(holder.metadata_props) > 1:
        holder.metadata_props.sort(key=lambda entry: entry.key)
