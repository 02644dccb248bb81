"""What a graph puts out where float16 is rounded to float16.

ONNX Runtime computes float16 nodes in float32 on most CPUs and leaves out the Casts between them.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` in float32, with every float16 value rounded as float16 is, Inf and subnormals too.

    Sums within an operator are kept in float32, as tensor cores do. Graph inputs must be float32.
    """
    source = onnx.shape_inference.infer_shapes(model)
    graph = source.graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for tensor in graph.initializer:
        if tensor.data_type == HALF:
            array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    nodes = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == HALF:
                attribute.i = SINGLE
        halves = [name for name in node.output if types.get(name) == HALF]
        rename = {name: f"{name}__exact" for name in halves}
        for index, name in enumerate(node.output):
            node.output[index] = rename.get(name, name)
        nodes.append(node)
        for name in halves:
            nodes += _rounding(f"{name}__exact", name)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    for name, number in _CONSTANTS.items():
        graph.initializer.append(numpy_helper.from_array(np.float32(number), name))
    for output in graph.output:
        if output.type.tensor_type.elem_type == HALF:
            output.type.tensor_type.elem_type = SINGLE
    return source


_CONSTANTS = {
    "__lowest": -1e6,
    "__highest": 1e6,
    "__splitter": 2.0**13 + 1,
    "__half_max": 65504.0,
    "__huge": 3e38,
    "__magic": 0.75,  # float32 has a step of 2^-24 there, as float16 below its normal numbers
    "__normal": 2.0**-14,
}


def _rounding(source: str, out: str) -> list[onnx.NodeProto]:
    def make(op_type: str, inputs: list[str], step: str) -> str:
        output = out if step == "" else f"{out}__{step}"
        nodes.append(helper.make_node(op_type, inputs, [output]))
        return output

    nodes: list[onnx.NodeProto] = []
    x = make("Clip", [source, "__lowest", "__highest"], "clipped")
    scaled = make("Mul", [x, "__splitter"], "scaled")  # Veltkamp's splitting
    high = make("Sub", [scaled, make("Sub", [scaled, x], "low")], "high")
    small = make("Sub", [make("Add", [x, "__magic"], "shifted"), "__magic"], "small")
    magnitude = make("Abs", [high], "magnitude")
    inf = make("Mul", [make("Mul", [high, "__huge"], "large"), "__huge"], "inf")
    is_small = make("Less", [make("Abs", [x], "absolute"), "__normal"], "is_small")
    normal = make("Where", [is_small, small, high], "normal")
    make("Where", [make("Greater", [magnitude, "__half_max"], "is_large"), inf, normal], "")
    return nodes
