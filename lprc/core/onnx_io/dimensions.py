"""Sizes that say nothing become symbolic: older exporters write -1 or ? for a size that varies."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from lprc.core.onnx_io.bodies import Body, bodies


def meaningless_dimensions(proto: onnx.ModelProto) -> list[onnx.TensorShapeProto.Dimension]:
    """The dimensions of inputs, outputs and inner values that are written as 0 or less, or as ?.

    Dimensions of one name are of one size, and what is called ? is not: height and width, say.
    Those of initialisers' names are left out: their sizes are known from their data.
    """
    return [
        dimension
        for body, _ in bodies(proto)
        for value in _values(body)
        for dimension in _dimensions(value.type)
        if (dimension.HasField("dim_value") and dimension.dim_value <= 0)
        or dimension.dim_param == "?"
    ]


def make_symbolic(dimensions: list[onnx.TensorShapeProto.Dimension]) -> None:
    """Let each of `dimensions` be of unknown size, in place."""
    for dimension in dimensions:
        dimension.ClearField("value")


def _values(body: Body) -> Iterator[onnx.ValueInfoProto]:
    yield from body.value_info
    if isinstance(body, onnx.GraphProto):
        with_data = {tensor.name for tensor in body.initializer}
        with_data.update(tensor.values.name for tensor in body.sparse_initializer)
        for value in (*body.input, *body.output):
            if value.name not in with_data:
                yield value


def _dimensions(kind: onnx.TypeProto) -> Iterator[onnx.TensorShapeProto.Dimension]:
    which = kind.WhichOneof("value")
    if which in ("tensor_type", "sparse_tensor_type"):
        yield from getattr(kind, which).shape.dim
    elif which in ("sequence_type", "optional_type"):
        yield from _dimensions(getattr(kind, which).elem_type)
    elif which == "map_type":
        yield from _dimensions(kind.map_type.value_type)
