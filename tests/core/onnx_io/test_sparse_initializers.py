"""Sparse initialisers become dense, by flat or by full indices; those that do not fit are refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io import model_io, sparse_initializers
from lprc.core.running.numerics import run

SHAPE = (2, 3)
DENSE = np.array([[0, 0, 5], [7, 0, 0]], dtype=np.float32)


def model(indices, indices_shape, shape=SHAPE):
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [5.0, 7.0])
    places = helper.make_tensor("places", TensorProto.INT64, indices_shape, indices)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, list(shape)))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(
    ("indices", "shape"),
    [([2, 3], [2]), ([0, 2, 1, 0], [2, 2])],
    ids=["flat", "a row for each element"],
)
def test_both_kinds_of_indices(indices, shape):
    loaded = model_io.from_proto(model(indices, shape))
    x = np.ones(SHAPE, dtype=np.float32)
    np.testing.assert_array_equal(run(loaded, {"x": x})["y"], x + DENSE)


@pytest.mark.parametrize(
    ("indices", "shape"),
    [
        ([2, 6], [2]),
        ([-1, 3], [2]),
        ([0], [1]),
        ([0, 3, 1, 0], [2, 2]),
        ([0, 2, 2, 0], [2, 2]),
        ([0, -1, 1, 0], [2, 2]),
        ([0, 2, 1, 0, 0, 0], [2, 3]),
    ],
    ids=["behind", "before", "too few", "column", "row", "negative", "rank"],
)
def test_indices_that_do_not_fit(indices, shape):
    proto = onnx.ModelProto.FromString(model(indices, shape).SerializeToString())
    with pytest.raises(InvalidModelError):
        sparse_initializers.densify(proto, "m.onnx")


def test_a_few_numbers_do_not_become_a_terabyte():
    proto = model([2, 3], [2], shape=(2**20, 2**20))
    with pytest.raises(InvalidModelError, match="sparse initialiser 'w': its dense form"):
        sparse_initializers.densify(proto, "m.onnx")
