"""onnx's version converter, in a process that it may crash or fill."""

from __future__ import annotations

import onnx

from lprc.core.process.warm_child import VENDOR, ChildError, RefusedError


def convert_version(proto: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """As `onnx.version_converter.convert_version`.

    Raises:
        RuntimeError: Whatever onnx says; or it crashed, or took too long.
    """
    data = proto.SerializeToString()
    try:
        converted = VENDOR.call("lprc.core.graph.onnx_child:convert_version", data, version)
    except RefusedError as error:
        raise RuntimeError(error.text) from error
    except ChildError as error:
        raise RuntimeError(f"onnx.version_converter {error.message}") from error
    result = onnx.ModelProto()
    result.ParseFromString(converted)
    return result
