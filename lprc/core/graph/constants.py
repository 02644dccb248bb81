"""Values that turn out to be constant, made initialisers under the names that they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

STRING_BYTES = 16
"""What an element of a string tensor counts as in a size."""


def become_initializer(value: ir.Value, tensor: ir.TensorProtocol) -> ir.Value:
    """Register `tensor` in the value's own graph and let all its users use that instead.

    The initialiser takes over the value's name. The producer stays, with an unnamed output.

    Args:
        value: The output of a node; not a graph output.
        tensor: What it always is.
    """
    graph = value.graph
    assert isinstance(graph, ir.Graph)
    name, value.name = value.name, None
    tensor.name = name
    initializer = ir.Value(
        name=name,
        shape=ir.Shape([dim for dim in tensor.shape if isinstance(dim, int)]),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.register_initializer(initializer)
    ir.convenience.replace_all_uses_with(value, initializer)
    return initializer


def constant_tensor(node: ir.Node) -> ir.TensorProtocol | None:
    """What a Constant node puts out; None if an attribute of an enclosing function says it."""
    attribute = node.attributes.get("value")
    if attribute is not None and attribute.ref_attr_name is not None:
        return None
    if attribute is not None and attribute.type == ir.AttributeType.TENSOR:
        # Not as_tensor(): its check of a protocol takes as long as all the rest of a lift.
        tensor: ir.TensorProtocol | None = attribute.value
        return tensor
    return ir.convenience.get_const_tensor(node.outputs[0])


def tensor_of(array: NDArray[Any], name: str) -> ir.TensorProtocol:
    """`array` as a tensor called `name`; arrays of objects or text as string tensors."""
    if array.dtype.kind in "OUS":
        texts = [
            element.encode() if isinstance(element, str) else element
            for element in array.reshape(-1)
        ]
        return ir.StringTensor(
            np.array(texts, dtype=object).reshape(array.shape),
            shape=ir.Shape(array.shape),
            name=name,
        )
    # Not ascontiguousarray: it would make [1] of a scalar's []. Not ir.tensor: ten times slower.
    return ir.Tensor(np.asarray(array, order="C"), name=name)


def tensor_bytes(tensor: ir.TensorProtocol) -> int:
    """The size of `tensor`; an estimate for strings."""
    if tensor.dtype == ir.DataType.STRING:
        return STRING_BYTES * int(tensor.size)
    return int(tensor.nbytes)
