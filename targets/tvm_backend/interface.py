"""The inputs and outputs of a module, which the library itself does not say."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper


def interface(proto: onnx.ModelProto, threads: int) -> dict[str, Any]:
    """Names, shapes and element types (as numpy calls them) of inputs and outputs, as JSON data.

    With the number of threads that the schedules are for: TVM reads it from TVM_NUM_THREADS.
    """
    weights = {initializer.name for initializer in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    return {
        "threads": threads,
        "inputs": list(map(_entry, inputs)),
        "outputs": list(map(_entry, proto.graph.output)),
    }


def _entry(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "shape": [dim.dim_value or None for dim in tensor.shape.dim],
        "dtype": helper.tensor_dtype_to_np_dtype(tensor.elem_type).name,
    }
