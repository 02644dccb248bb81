"""Sparse initialisers become dense: onnx-ir drops them without a word."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from lprc.core.errors import InvalidModelError

DENSE_LIMIT = 1_000_000_000
"""The most bytes that one sparse initialiser may become."""


def densify(proto: onnx.ModelProto, where: str) -> None:
    """Replace the main graph's sparse initialisers by dense ones, in place.

    Raises:
        InvalidModelError: Indices outside the shape, or a dense form of over 1 GB.
    """
    for sparse in proto.graph.sparse_initializer:
        proto.graph.initializer.append(_dense(sparse, where))
    del proto.graph.sparse_initializer[:]


def _dense(sparse: onnx.SparseTensorProto, where: str) -> onnx.TensorProto:
    name, shape = sparse.values.name, tuple(sparse.dims)
    place = f"{where}: sparse initialiser '{name}'"
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    size = int(np.prod(shape, dtype=object))
    if size * values.itemsize > DENSE_LIMIT:
        raise InvalidModelError(f"its dense form has {size} elements", where=place)
    if indices.ndim == 2:
        if indices.shape != (len(values), len(shape)) or (indices < 0).any():
            raise InvalidModelError("its indices do not fit", where=place)
        if (indices >= np.array(shape)).any():
            raise InvalidModelError("its indices lie outside its shape", where=place)
        indices = np.ravel_multi_index(tuple(indices.T), shape)
    if indices.shape != values.shape or (indices < 0).any() or (indices >= size).any():
        raise InvalidModelError("its indices lie outside its shape", where=place)
    dense = np.zeros(size, values.dtype)
    dense[indices] = values
    return numpy_helper.from_array(dense.reshape(shape), name)
