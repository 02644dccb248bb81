"""Whether a tensor's type, shape and data agree."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from math import prod

import onnx

from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io.bodies import bodies, node_label

_BITS = {
    **dict.fromkeys(("FLOAT", "INT32", "UINT32"), 32),
    **dict.fromkeys(("DOUBLE", "INT64", "UINT64", "COMPLEX64"), 64),
    **dict.fromkeys(("FLOAT16", "BFLOAT16", "INT16", "UINT16"), 16),
    **dict.fromkeys(("INT8", "UINT8", "BOOL"), 8),
    **dict.fromkeys(("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"), 8),
    **dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4),
    **dict.fromkeys(("INT2", "UINT2"), 2),
    "FLOAT8E8M0": 8,
    "COMPLEX128": 128,
}
"""Bits of an element by the name of its type; those of 6 bits are not checked."""

_FIELDS = {
    **dict.fromkeys(("FLOAT", "COMPLEX64"), "float_data"),
    **dict.fromkeys(("DOUBLE", "COMPLEX128"), "double_data"),
    **dict.fromkeys(("UINT32", "UINT64"), "uint64_data"),
    "INT64": "int64_data",
    "STRING": "string_data",
}
"""Which field holds elements that are not raw; ``int32_data`` where none is named."""

_ALL_FIELDS = ("int32_data", *sorted(set(_FIELDS.values())))
_PARTS = {"COMPLEX64": 2, "COMPLEX128": 2}


@functools.cache
def type_name(number: int) -> str | None:
    """The name of an element type, for instance ``FLOAT``; None where the number is none."""
    known = onnx.TensorProto.DataType.values()
    name = onnx.TensorProto.DataType.Name(number) if number in known else None
    return None if name == "UNDEFINED" else name


def check_tensors(proto: onnx.ModelProto, where: str) -> None:
    """Refuse tensors of unknown types, and data that is missing, too long or in two places.

    Raises:
        InvalidModelError: Naming the tensor, or the node that holds it.
    """
    for tensor, place in _tensors(proto):
        wrong = _problem(tensor)
        if wrong is not None:
            raise InvalidModelError(wrong, where=f"{where}: {place}")


def check_declared_shapes(proto: onnx.ModelProto, where: str) -> None:
    """Refuse an initialiser that has another shape than the input of its name.

    Raises:
        InvalidModelError: Naming the initialiser.
    """
    declared = {value.name: value.type.tensor_type for value in proto.graph.input}
    for tensor in proto.graph.initializer:
        kind = declared.get(tensor.name)
        if kind is None or not kind.HasField("shape"):
            continue
        sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
        agree = len(sizes) == len(tensor.dims) and all(
            size is None or size == actual for size, actual in zip(sizes, tensor.dims, strict=True)
        )
        if not agree:
            shown = ["?" if size is None else size for size in sizes]
            raise InvalidModelError(
                f"it has the shape {list(tensor.dims)}, and the input of its name has "
                f"[{', '.join(map(str, shown))}]",
                where=f"{where}: initialiser '{tensor.name}'",
            )


def _tensors(proto: onnx.ModelProto) -> Iterator[tuple[onnx.TensorProto, str]]:
    for body, _ in bodies(proto):
        if isinstance(body, onnx.GraphProto):
            for tensor in body.initializer:
                yield tensor, f"initialiser '{tensor.name}'"
            for sparse in body.sparse_initializer:
                yield sparse.values, f"sparse initialiser '{sparse.values.name}'"
                yield sparse.indices, f"indices of the sparse initialiser '{sparse.values.name}'"
        for node in body.node:
            for attribute in node.attribute:
                place = f"{node_label(node)}: attribute '{attribute.name}'"
                if attribute.HasField("t"):
                    yield attribute.t, place
                for tensor in attribute.tensors:
                    yield tensor, place


def _problem(tensor: onnx.TensorProto) -> str | None:
    name = type_name(tensor.data_type)
    if name is None:
        return f"its element type {tensor.data_type} is unknown"
    if any(size < 0 for size in tensor.dims):
        return f"its shape {list(tensor.dims)} has a negative size"
    if tensor.HasField("segment"):
        return "its data is cut into segments, which can't be read"
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    filled = [field for field in _ALL_FIELDS if len(getattr(tensor, field))]
    if tensor.HasField("raw_data"):
        return _raw_problem(tensor, name, filled)
    if len(filled) > 1:
        return f"its data stands in {' and '.join(filled)} at once"
    return _typed_problem(tensor, name, filled)


def _raw_problem(tensor: onnx.TensorProto, name: str, filled: list[str]) -> str | None:
    if filled:
        return f"its data stands in raw_data and {filled[0]} at once"
    if name == "STRING":
        return "its strings stand in raw_data"
    bits = _BITS.get(name)
    needed = None if bits is None else (prod(tensor.dims) * bits + 7) // 8
    return _length_problem(len(tensor.raw_data), needed, "bytes", tensor.dims)


def _typed_problem(tensor: onnx.TensorProto, name: str, filled: list[str]) -> str | None:
    field = _FIELDS.get(name, "int32_data")
    if filled and filled != [field]:
        return f"its data stands in {filled[0]}, where {name.lower()} is read from {field}"
    count = prod(tensor.dims) * _PARTS.get(name, 1)
    bits = _BITS.get(name, 8)
    if bits < 8:
        count = (count * bits + 7) // 8
    return _length_problem(len(getattr(tensor, field)), count, "values", tensor.dims)


def _length_problem(length: int, needed: int | None, unit: str, shape: Iterable[int]) -> str | None:
    if needed is None or length == needed:
        return None
    size = "too small" if length < needed else "too large"
    return f"its data is {size}: {length} {unit} where its shape {list(shape)} needs {needed}"
