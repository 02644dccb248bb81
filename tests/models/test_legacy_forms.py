"""Each legacy form is what `legacy_exports` says it is, so that the passes are tested on it."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest
from legacy_exports import legacy_forms

FORMS = legacy_forms()


@pytest.fixture(scope="module", params=FORMS)
def form(request) -> tuple[str, onnx.ModelProto]:
    return request.param, FORMS[request.param]()


def pools(proto: onnx.ModelProto) -> list[tuple[list[int], list[int]]]:
    found = []
    for node in proto.graph.node:
        if node.op_type == "MaxPool":
            values = {each.name: list(each.ints) for each in node.attribute}
            found.append((values["kernel_shape"], values["strides"]))
    return found


def test_opset_is_the_one_in_the_name(form):
    name, proto = form
    assert proto.opset_import[0].version == int(name.rpartition("-")[2])


def test_pools(form):
    name, proto = form
    if name.startswith("transposed"):
        assert pools(proto) == [
            ([1, 1], [1, 1]),
            ([3, 3], [1, 1]),
            ([1, 1], [1, 2]),
            ([3, 3], [1, 2]),
            ([1, 1], [1, 4]),
            ([3, 3], [1, 2]),
        ]
        onnx.checker.check_model(proto, full_check=True)
    else:
        assert pools(proto) == [
            ([1, 3, 3], [1, 1, 1]),
            ([1, 3, 3], [2, 1, 2]),
            ([1, 3, 3], [4, 1, 2]),
        ]
        with pytest.raises(onnx.shape_inference.InferenceError):
            onnx.checker.check_model(proto, full_check=True)


def test_where_the_weights_are(form):
    name, proto = form
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = {value.name for value in proto.graph.input}
    operators = Counter(node.op_type for node in proto.graph.node)
    assert inputs == ({"image"} | weights if name.startswith("inputs") else {"image"})
    assert (operators["BatchNormalization"] == 6) == name.startswith("inputs")
    if name.startswith("constants"):
        assert not weights
        assert operators["Constant"] > 32
    else:
        assert len(weights) >= 32
    assert (operators["Pad"] == 3) == name.endswith("-9")
