"""onnx's own C++ in the child process of `lprc.core.graph.vendor_inference`."""

from __future__ import annotations

import onnx


def infer_shapes(data: bytes, check_type: bool, strict_mode: bool, data_prop: bool) -> bytes:
    """`onnx.shape_inference.infer_shapes`, from bytes to bytes.

    Raises:
        onnx.shape_inference.InferenceError: The graph contradicts itself.
    """
    inferred: bytes = onnx.shape_inference.infer_shapes(
        data, check_type, strict_mode, data_prop
    ).SerializeToString()
    return inferred


def convert_version(data: bytes, version: int) -> bytes:
    """`onnx.version_converter.convert_version`, from bytes to bytes.

    Raises:
        RuntimeError: It can't.
    """
    import onnx.version_converter

    model = onnx.load_model_from_string(data)
    converted: bytes = onnx.version_converter.convert_version(model, version).SerializeToString()
    return converted
