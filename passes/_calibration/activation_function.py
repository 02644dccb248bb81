"""The activation behind a value, as a function of numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import ACTIVATIONS
from lprc.core.running.numerics import Session

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def activation_behind(value: ir.Value, opset: int) -> Function | None:
    """What the activation that alone reads `value` makes of numbers, float64 [N] to float64 [N].

    A PRelu's slopes are one: their root mean square, which keeps the mean squared error.

    Returns:
        None where no activation alone reads it, or a Relu does: that goes with a Q behind it; or
        where an operand of the activation is computed.
    """
    node = editing.sole_user(value)
    if node is None or not editing.is_op(node, *(ACTIVATIONS - {"Relu"})):
        return None
    if node.inputs[0] is not value or value.is_graph_output():
        return None
    operands = {operand.name: editing.constant(operand) for operand in node.inputs[1:] if operand}
    proto = onnx.ModelProto(ir_version=8)
    proto.opset_import.add(domain="", version=opset)
    proto.graph.name = node.op_type
    proto.graph.node.append(ir.serde.serialize_node(node))
    for name, array in operands.items():
        if array is None:
            return None
        if editing.is_op(node, "PRelu"):
            array = np.sqrt(np.mean(np.square(array), dtype=np.float64)).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    vector = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, ["N"])
    proto.graph.input.add(name=value.name, type=vector)
    proto.graph.output.add(name=node.outputs[0].name, type=vector)
    session = Session(proto.SerializeToString())

    def function(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        (result,) = session.run({str(value.name): numbers.astype(np.float32)}).values()
        return np.asarray(result, np.float64)

    return function
