"""The inputs and outputs of a module, which torch's files do not name."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from lprc.core.torch_graph.inference import graph_inputs


def interface(model: ir.Model) -> dict[str, Any]:
    """Names, shapes and element types (as numpy calls them) of inputs and outputs, as JSON data."""
    return {
        "inputs": [_entry(value) for value in graph_inputs(model)],
        "outputs": [_entry(value) for value in model.graph.outputs],
    }


def _entry(value: ir.Value) -> dict[str, Any]:
    return {
        "name": value.name,
        "shape": [size if isinstance(size, int) else None for size in value.shape or ()],
        "dtype": "float32" if value.dtype is None else value.dtype.numpy().name,
    }
