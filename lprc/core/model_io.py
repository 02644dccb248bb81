"""Models from and to ONNX files: checked on the way in, deterministic on the way out."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, EncodeError

from lprc.core.atomic import atomic_file, atomic_pair
from lprc.core.errors import InvalidModelError, OutputError
from lprc.core.external_data import check_locations
from lprc.core.sparse import densify
from lprc.core.validation import check_model

PROTOBUF_LIMIT = 2_000_000_000
"""Bytes of a protobuf message, a little under its limit of 2 GiB."""


def load(path: Path) -> ir.Model:
    """Read and check an ONNX file.

    Weights in external files stay there and are read when used; they must lie in the model's
    folder. Sparse initialisers become dense ones, because onnx-ir would drop them.

    Raises:
        InvalidModelError: Missing, empty, truncated, not ONNX, or not a valid graph.
    """
    path = Path(path)
    where = str(path)
    proto = _read(path)
    check_locations(proto, path.parent, where)
    check_model(proto, where)
    densify(proto, where)
    return _deserialize(proto, where, path.parent)


def from_proto(proto: onnx.ModelProto, *, where: str = "model") -> ir.Model:
    """Check a model in memory, all of whose weights are inside, and make it an `ir.Model`.

    Raises:
        InvalidModelError: Not a valid graph.
    """
    check_model(proto, where)
    if proto.graph.sparse_initializer:
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        proto = copy
        densify(proto, where)
    return _deserialize(proto, where, None)


def to_proto(model: ir.Model) -> onnx.ModelProto:
    """`model` as a `ModelProto`; external weights stay external."""
    return ir.serde.serialize_model(model)


def to_bytes(model: ir.Model) -> bytes:
    """`model` as deterministic bytes, weights inside.

    Raises:
        OutputError: It is larger than a protobuf message can be (2 GiB).
    """
    inside = ir.external_data.load_to_model(model) if _has_external(model) else model
    try:
        data: bytes = to_proto(inside).SerializeToString(deterministic=True)
    except (ValueError, EncodeError) as error:
        raise OutputError(
            "the model is larger than 2 GiB", hint="save it; its weights go into a file beside it"
        ) from error
    return data


def save(model: ir.Model, path: Path) -> None:
    """Write `model` deterministically and atomically; over 2 GB of weights go to ``NAME.data``.

    Raises:
        OutputError: The file can't be written.
    """
    path = Path(path)
    if _weight_bytes(model) < PROTOBUF_LIMIT:
        data = to_bytes(model)
        with atomic_file(path) as temporary:
            temporary.write_bytes(data)
        return
    with atomic_pair(path, path.with_name(f"{path.name}.data")) as (temporary, weights):
        ir.save(model, temporary, external_data=weights.name)


def _read(path: Path) -> onnx.ModelProto:
    where = str(path)
    if path.is_dir():
        raise InvalidModelError("is a folder, not an ONNX file", where=where)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidModelError("no such file", where=where) from error
    except OSError as error:
        raise InvalidModelError(f"can't be read: {error.strerror}", where=where) from error
    if not data:
        raise InvalidModelError("the file is empty", where=where)
    try:
        proto: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except (DecodeError, RecursionError) as error:
        raise InvalidModelError(
            "not an ONNX file, or a truncated one", where=where, hint="export or copy it again"
        ) from error
    if not proto.HasField("graph"):
        raise InvalidModelError("not an ONNX model: it has no graph", where=where)
    return proto


def _deserialize(proto: onnx.ModelProto, where: str, folder: Path | None) -> ir.Model:
    try:
        model = ir.serde.deserialize_model(proto)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InvalidModelError(f"not a valid graph: {reason}", where=where) from error
    if folder is not None:
        ir.external_data.set_base_dir(model.graph, folder)
    return model


def _has_external(model: ir.Model) -> bool:
    return any(
        isinstance(value.const_value, ir.ExternalTensor)
        for value in model.graph.initializers.values()
    )


def _weight_bytes(model: ir.Model) -> int:
    return sum(
        value.const_value.nbytes
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )
