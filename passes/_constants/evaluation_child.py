"""ONNX Runtime in the child process of `lprc.core.process.warm_child`, for constants."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

_NUMPY_TYPES = frozenset(
    f"tensor({name})"
    for name in (
        "float", "double", "float16", "bool", "string", "int8", "int16", "int32", "int64",
        "uint8", "uint16", "uint32", "uint64",
    )
)  # fmt: skip
"""Those of ONNX Runtime's types that reach Python as they are: a float8 would come as uint8."""


def evaluate(data: bytes) -> dict[str, NDArray[Any]]:
    """The outputs by name of a graph without inputs.

    Args:
        data: The graph.

    Raises:
        TypeError: An output has a type that numpy lacks.
        Exception: ONNX Runtime's; they share no base of their own.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    odd = [output.type for output in session.get_outputs() if output.type not in _NUMPY_TYPES]
    if odd:
        raise TypeError(f"numpy has no {odd[0]}")
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {}), strict=True))
