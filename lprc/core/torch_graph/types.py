"""ONNX element types in torch."""

from __future__ import annotations

import onnx_ir as ir
import torch

from lprc.core.errors import UsageError

_TYPES = {
    ir.DataType.BOOL: torch.bool,
    ir.DataType.INT8: torch.int8,
    ir.DataType.UINT8: torch.uint8,
    ir.DataType.INT16: torch.int16,
    ir.DataType.INT32: torch.int32,
    ir.DataType.INT64: torch.int64,
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.DOUBLE: torch.float64,
}


def torch_dtype(code: int, where: str) -> torch.dtype:
    """The torch type of an ONNX one.

    Raises:
        UsageError: There is none.
    """
    dtype = _TYPES.get(ir.DataType(code))
    if dtype is None:
        raise UsageError(
            f"element type {ir.DataType(code).name} has no form in torch here",
            where=where,
            hint="use a float32 or float16 model",
        )
    return dtype
