"""What ONNX Runtime must not be asked to do."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT_ACTIVATIONS = ("session.qdq_matmulnbits_accuracy_level", "1")
"""A session's setting: a MatMul by dequantised weights computes on float32 activations.

By itself ONNX Runtime quantises them to int8, of which neither the graph nor anyone has said a
word: one percent of the output.
"""


def disabled_optimizers(model: bytes | Path) -> list[str]:
    """The optimisers of ONNX Runtime that must stay away from `model`.

    ``NchwcTransformer`` of 1.31 crashes the process on some float16 graphs with Convs (one in front
    of an LSTM). It brings nothing to float16, which the CPU computes in float32.
    ``QDQPropagationTransformer`` makes new float16 QuantizeLinear nodes, which `rounded` is about.
    """
    graph = _without_weights(model).graph
    if not any(weight.data_type == TensorProto.FLOAT16 for weight in graph.initializer):
        return []
    return ["NchwcTransformer", *(["QDQPropagationTransformer"] if _truncates() else [])]


def rounded(model: bytes | Path) -> bytes | Path:
    """`model` with its float16 QuantizeLinear nodes in float32, if this ONNX Runtime truncates.

    Before 1.30 its CPU kernel did (https://github.com/microsoft/onnxruntime/pull/32452): half of
    the integers came out one too near to zero. A Cast of both operands computes the same exactly.
    Looks at the main graph and at constant scales only, as convert-fp16 makes them.
    """
    if not _truncates():
        return model
    graph = _without_weights(model).graph
    half = {weight.name for weight in graph.initializer if weight.data_type == TensorProto.FLOAT16}
    if not any(_is_half(node, half) for node in graph.node):
        return model
    whole = onnx.ModelProto.FromString(model) if isinstance(model, bytes) else onnx.load(model)
    nodes = [part for node in whole.graph.node for part in _in_float32(node, half)]
    del whole.graph.node[:]
    whole.graph.node.extend(nodes)
    content: bytes = whole.SerializeToString()
    return content


def _without_weights(model: bytes | Path) -> onnx.ModelProto:
    proto: onnx.ModelProto
    if isinstance(model, bytes):
        proto = onnx.ModelProto.FromString(model)
    else:
        proto = onnx.load(model, load_external_data=False)
    return proto


def _is_half(node: onnx.NodeProto, half: set[str]) -> bool:
    return node.op_type == "QuantizeLinear" and node.input[1] in half


def _in_float32(node: onnx.NodeProto, half: set[str]) -> Iterator[onnx.NodeProto]:
    if _is_half(node, half):
        for index in (0, 1):
            name = f"{node.output[0]}__float32_{index}"
            yield helper.make_node("Cast", [node.input[index]], [name], name, to=TensorProto.FLOAT)
            node.input[index] = name
    yield node


@functools.cache
def _truncates() -> bool:
    """Whether a float16 QuantizeLinear makes 0 of 0.75."""
    import onnxruntime as ort

    weights = [
        numpy_helper.from_array(np.array(1, np.float16), "scale"),
        numpy_helper.from_array(np.array(0, np.int8), "zero"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT16, [1])
    y = helper.make_tensor_value_info("y", TensorProto.INT8, [1])
    node = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "rounding", [x], [y], weights),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return int(session.run(None, {"x": np.array([0.75], np.float16)})[0][0]) == 0
