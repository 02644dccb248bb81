"""The runtimes that lprc ships with, as data; none of them is imported here."""

from __future__ import annotations

from lprc.core.targets.runtimes import Runtime

ONNXRUNTIME = Runtime(
    name="onnxruntime",
    title="ONNX Runtime",
    file="model.onnx",
    opener="lprc.compiler.runners.ort:OrtRunner",
    profiler="lprc.compiler.runners.profilers:ort_layers",
    requires=("onnxruntime",),
    install="pip install onnxruntime",
)

OPENVINO = Runtime(
    name="openvino",
    title="OpenVINO",
    file="model.xml",
    companions={".xml": (".bin",)},
    opener="lprc.compiler.runners.openvino_streams:opened_in_openvino",
    profiler="lprc.compiler.runners.profilers:openvino_layers",
    requires=("openvino",),
    install='pip install "lprc[openvino]"',
    packages=("openvino",),
)

TENSORRT = Runtime(
    name="tensorrt",
    title="TensorRT",
    file="model.engine",
    compiled_only=True,
    opener="lprc.compiler.runners.tensorrt:TensorRtRunner",
    device="cuda",
    install='pip install "lprc[tensorrt]"',
    check="lprc.compiler.runners.tensorrt:obstacle",
    packages=("tensorrt-rtx", "tensorrt"),
)

TVM = Runtime(
    name="tvm",
    title="TVM",
    file="model.so",
    compiled_only=True,
    opener="lprc.compiler.runners.tvm:TvmRunner",
    profiler="lprc.compiler.runners.profilers:tvm_layers",
    requires=("tvm",),
    install='pip install "lprc[tvm]"',
    packages=("apache-tvm", "apache-tvm-ffi"),
)

TORCHSCRIPT = Runtime(
    name="torchscript",
    title="TorchScript",
    file="model.pt",
    compiled_only=True,
    opener="lprc.compiler.runners.torchscript:TorchScriptRunner",
    requires=("torch",),
    install='pip install "lprc[torch]"',
    packages=("torch",),
)

AOTI = Runtime(
    name="aoti",
    title="AOTInductor",
    file="model.pt2",
    compiled_only=True,
    opener="lprc.compiler.runners.aoti:AotiRunner",
    requires=("torch",),
    install='pip install "lprc[torch]"',
    packages=("torch",),
)

EXECUTORCH = Runtime(
    name="executorch",
    title="ExecuTorch",
    file="model.pte",
    compiled_only=True,
    opener="lprc.compiler.runners.executorch:ExecuTorchRunner",
    requires=("executorch.runtime",),
    install='pip install "lprc[executorch]"',
    packages=("executorch", "torch"),
)
