"""TensorRT, so far up to the lowered ONNX: its rules are checked here, without it."""

from __future__ import annotations

from lprc.core.target import Target

TENSORRT_FP32 = Target.from_resource("lprc.targets", "tensorrt-fp32.toml")
TENSORRT_FP16 = Target.from_resource("lprc.targets", "tensorrt-fp16.toml")
TENSORRT_INT8 = Target.from_resource("lprc.targets", "tensorrt-int8.toml")
