"""What is timed on the GPU: engines, torch, and ONNX Runtime's CUDA provider, in one form."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lprc.targets.tensorrt_scripts.engine import Engine


@dataclass(frozen=True)
class Contestant:
    """One way to run a network on one input, which stays on the GPU.

    Attributes:
        name: As in the table.
        run: Runs once and waits.
        device_ms: Milliseconds on the GPU of one of so many runs, started without waiting between
            them, by CUDA events; None where the runtime has no way to tell.
        cuda_graph: Whether a captured graph is launched.
    """

    name: str
    run: Callable[[], object]
    device_ms: Callable[[int], float] | None
    cuda_graph: bool


def engine(name: str, loaded: Engine, image: NDArray[np.float32]) -> Contestant:
    """A TensorRT engine, as a CUDA graph where it can be captured."""
    (key,) = loaded.inputs
    replay = loaded.bound({key: image.astype(loaded.dtypes[key])})
    return Contestant(name, replay, replay.device_ms, replay.cuda_graph)


def torch_eager(name: str, module: nn.Module, image: NDArray[np.float32]) -> Contestant:
    """torch as most people run it: float32, kernel by kernel."""
    device = module.float().to("cuda", memory_format=torch.contiguous_format)
    tensor = torch.from_numpy(image).cuda()
    return _torch(name, lambda: device(tensor), cuda_graph=False)


def torch_graph(
    name: str, module: nn.Module, image: NDArray[np.float32], dtype: torch.dtype
) -> Contestant:
    """torch as a CUDA graph, channels last, in `dtype`."""
    moved = module.to("cuda", dtype, memory_format=torch.channels_last)
    tensor = torch.from_numpy(image).to("cuda", dtype).to(memory_format=torch.channels_last)
    graph = torch.cuda.CUDAGraph()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(5):  # cuDNN chooses its kernels before the capture
            moved(tensor)
    torch.cuda.current_stream().wait_stream(side)
    with torch.inference_mode(), torch.cuda.graph(graph):
        outputs = moved(tensor)
    kept = (outputs, tensor, moved)  # the graph reads and writes their memory
    return _torch(name, lambda: (graph.replay(), kept), cuda_graph=True)


def torch_compiled(
    name: str, module: nn.Module, image: NDArray[np.float32], dtype: torch.dtype
) -> Contestant:
    """``torch.compile`` with CUDA graphs (``reduce-overhead``), channels last, in `dtype`."""
    moved = module.to("cuda", dtype, memory_format=torch.channels_last)
    tensor = torch.from_numpy(image).to("cuda", dtype).to(memory_format=torch.channels_last)
    compiled = torch.compile(moved, mode="reduce-overhead")
    contestant = _torch(name, lambda: compiled(tensor), cuda_graph=True)
    for _ in range(5):
        contestant.run()
    return contestant


def onnxruntime_cuda(name: str, path: Path, image: NDArray[np.float32]) -> Contestant | None:
    """ONNX Runtime's CUDA provider with a CUDA graph; None where it is not installed."""
    import onnxruntime as ort

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return None
    providers = [("CUDAExecutionProvider", {"enable_cuda_graph": "1"})]
    session: Any = ort.InferenceSession(str(path), providers=providers)
    binding = session.io_binding()
    value = ort.OrtValue.ortvalue_from_numpy(image, "cuda", 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    for _ in range(3):  # the second is captured
        run()
    return Contestant(name, run, None, cuda_graph=True)


def _torch(name: str, start: Callable[[], object], *, cuda_graph: bool) -> Contestant:
    guard = nullcontext if cuda_graph else torch.inference_mode

    def run() -> None:
        with guard():
            start()
        torch.cuda.synchronize()

    def device_ms(count: int) -> float:
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        with guard():
            for _ in range(count):
                start()
        last.record()
        last.synchronize()
        return float(first.elapsed_time(last)) / count

    return Contestant(name, run, device_ms, cuda_graph)
