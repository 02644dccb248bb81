"""ONNX shape inference, in a process that it may crash or fill."""

from __future__ import annotations

import onnx

from lprc.core.graph.crash_search import guilty_node
from lprc.core.process.warm_child import VENDOR, ChildError, RefusedError
from lprc.core.process.worker import WorkerError

_FUNCTION = "lprc.core.graph.onnx_child:infer_shapes"


def infer_shapes(
    proto: onnx.ModelProto,
    *,
    check_type: bool = False,
    strict_mode: bool = False,
    data_prop: bool = False,
) -> onnx.ModelProto:
    """As `onnx.shape_inference.infer_shapes`.

    Raises:
        onnx.shape_inference.InferenceError: The graph contradicts itself.
        RuntimeError: Whatever else onnx says.
        WorkerError: It crashed, or took too long.
    """
    how = (check_type, strict_mode, data_prop)
    data = proto.SerializeToString()
    try:
        inferred = VENDOR.call(_FUNCTION, data, *how)
    except RefusedError as error:
        if error.kind.endswith("InferenceError"):
            raise onnx.shape_inference.InferenceError(error.text) from error
        raise RuntimeError(error.text) from error
    except ChildError as error:
        culprit = guilty_node(
            data,
            lambda part, seconds: VENDOR.call(_FUNCTION, part, *how, limit=seconds),
            expired=error.expired,
        )
        raise WorkerError(
            f"ONNX shape inference {error.message}", where=culprit, hint=error.hint
        ) from error
    result = onnx.ModelProto()
    result.ParseFromString(inferred)
    return result
