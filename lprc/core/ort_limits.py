"""What ONNX Runtime must not be asked to do."""

from __future__ import annotations

from pathlib import Path

import onnx


def disabled_optimizers(model: bytes | Path) -> list[str]:
    """The optimisers of ONNX Runtime that crash the process on `model`.

    ``NchwcTransformer`` of 1.31 does on some float16 graphs with Convs (one in front of an LSTM).
    It brings nothing to float16, which the CPU computes in float32.
    """
    if isinstance(model, bytes):
        proto = onnx.ModelProto.FromString(model)
    else:
        proto = onnx.load(model, load_external_data=False)
    half = any(each.data_type == onnx.TensorProto.FLOAT16 for each in proto.graph.initializer)
    return ["NchwcTransformer"] if half else []
