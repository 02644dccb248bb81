"""TensorRT and CUDA in miniature, on the CPU: what a run asks of them, and what would be an error.

The one engine computes ``y = 2 x + 1`` for float32 ``x`` of shape [N,3], N from 1 to 4. As on a GPU,
memory holds what was copied into it, a capture records, and a capture forbids copies and waits.
"""

# ruff: noqa: N802, N815 - the vendor's names

from __future__ import annotations

import ctypes
from enum import Enum, IntEnum
from types import SimpleNamespace

import numpy as np

OK, INVALID, UNSUPPORTED = 0, 1, 900


class Cuda:
    """The functions of ``cuda.bindings.runtime`` that are used; `live` is device memory."""

    cudaStreamNonBlocking = 1
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="h2d", cudaMemcpyDeviceToHost="d2h")
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal="thread")
    cudaError_t = SimpleNamespace(cudaErrorInsufficientDriver=35)

    def __init__(self, *, count=1, code=OK, driver=13000, memory=1 << 20):
        self.count, self.code, self.driver, self.memory = count, code, driver, memory
        self.live, self.graphs, self.streams = {}, [], []
        self.capturing = None
        self.calls = []
        self.events, self.destroyed = [], []

    def cudaGetDeviceCount(self):
        return (self.code, None) if self.code else (OK, self.count)

    def cudaGetDeviceProperties(self, index):
        return OK, SimpleNamespace(name=b"Fake", major=8, minor=6)

    def cudaDriverGetVersion(self):
        return OK, self.driver

    def cudaRuntimeGetVersion(self):
        return OK, 13050

    def cudaGetErrorName(self, code):
        return OK, f"cudaError{int(code)}".encode()

    def cudaGetErrorString(self, code):
        return OK, b"it failed"

    def cudaGetLastError(self):
        return (OK,)

    def cudaStreamCreateWithFlags(self, flags):
        self.streams.append(len(self.streams) + 7)
        return OK, self.streams[-1]

    def cudaStreamDestroy(self, stream):
        self.streams.remove(stream)
        return (OK,)

    def cudaStreamSynchronize(self, stream):
        assert self.capturing is None
        self.calls.append("wait")
        return (OK,)

    def cudaEventCreate(self):
        self.events.append(None)
        return OK, len(self.events) - 1

    def cudaEventRecord(self, event, stream):
        self.events[event] = len(self.calls)
        return (OK,)

    def cudaEventSynchronize(self, event):
        assert self.capturing is None
        return (OK,)

    def cudaEventElapsedTime(self, first, last):
        """A millisecond for each call of the CUDA runtime between them that is recorded here."""
        return OK, float(self.events[last] - self.events[first])

    def cudaEventDestroy(self, event):
        self.destroyed.append(event)
        return (OK,)

    def cudaMalloc(self, size):
        assert self.capturing is None
        if size > self.memory:
            return 2, None
        block = (ctypes.c_byte * size)()
        self.live[ctypes.addressof(block)] = block
        return OK, ctypes.addressof(block)

    def cudaFree(self, pointer):
        del self.live[pointer]
        return (OK,)

    def cudaMemcpyAsync(self, destination, source, size, kind, stream):
        assert self.capturing is None
        assert size <= len(self.live[destination if kind == "h2d" else source])
        ctypes.memmove(destination, source, size)
        self.calls.append(kind)
        return (OK,)

    def cudaStreamBeginCapture(self, stream, mode):
        self.capturing = []
        return (OK,)

    def cudaStreamEndCapture(self, stream):
        recorded, self.capturing = self.capturing, None
        if "forbidden" in recorded:
            return UNSUPPORTED, None
        self.graphs.append("graph")
        return OK, recorded

    def cudaGraphInstantiate(self, graph, flags):
        self.graphs.append("executable")
        return OK, graph

    def cudaGraphDestroy(self, graph):
        self.graphs.remove("graph")
        return (OK,)

    def cudaGraphExecDestroy(self, graph):
        self.graphs.remove("executable")
        return (OK,)

    def cudaGraphLaunch(self, graph, stream):
        self.calls.append("launch")
        for kernel in graph:
            kernel()
        return (OK,)


class Context:
    def __init__(self, trt):
        self.trt, self.shape, self.addresses = trt, None, {}

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return True

    def infer_shapes(self):
        return [] if self.shape else ["x"]

    def get_tensor_shape(self, name):
        return (-1, 3) if self.trt.data_dependent else self.shape

    def set_tensor_address(self, name, address):
        assert address in self.trt.cuda.live
        self.addresses[name] = address
        return True

    def is_stream_capturable(self, stream):
        return self.trt.capturable is not False

    def execute_async_v3(self, stream):
        assert stream in self.trt.cuda.streams
        shape, where = self.shape, dict(self.addresses)

        def kernel():
            kind = ctypes.c_float * int(np.prod(shape))
            x, y = (np.frombuffer(kind.from_address(where[name]), np.float32) for name in "xy")
            y[:] = 2 * x + 1

        if self.trt.broken:
            self.trt.log.log(Module.ILogger.ERROR, "the kernel is gone")
            return False
        cuda = self.trt.cuda
        if cuda.capturing is None:
            cuda.calls.append("enqueue")
            kernel()
        else:
            cuda.capturing.append("forbidden" if self.trt.capturable == "fails" else kernel)
        return True


class Engine:
    num_io_tensors = 2

    def __init__(self, trt):
        self.trt = trt

    def get_tensor_name(self, index):
        return "xy"[index]

    def get_tensor_dtype(self, name):
        return Module.DataType[self.trt.kind]

    def get_tensor_location(self, name):
        return self.trt.location

    def get_tensor_mode(self, name):
        return Module.TensorIOMode.INPUT if name == "x" else Module.TensorIOMode.OUTPUT

    def get_tensor_shape(self, name):
        return (-1, 3)

    def get_tensor_profile_shape(self, name, profile):
        assert profile == 0
        return [(1, 3), (2, 3), (4, 3)]

    def create_runtime_config(self):
        return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy="lazy")

    def create_execution_context(self, runtime_config=None):
        self.trt.configs.append(runtime_config)
        return None if self.trt.no_context else Context(self.trt)


class Module:
    """A stand-in for ``tensorrt_rtx``, with what goes wrong as attributes."""

    __name__ = "tensorrt_rtx"
    __version__ = "1.7"

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING = range(3)

    DataType = Enum("DataType", "FLOAT BF16")
    TensorIOMode = IntEnum("TensorIOMode", "INPUT OUTPUT")
    TensorLocation = IntEnum("TensorLocation", "DEVICE HOST")
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")

    def __init__(self, cuda, *, kind="FLOAT", location=TensorLocation.DEVICE, capturable=True,
                 broken=False, no_context=False, data_dependent=False):  # fmt: skip
        self.cuda, self.kind, self.location, self.capturable = cuda, kind, location, capturable
        self.broken, self.no_context, self.data_dependent = broken, no_context, data_dependent
        self.configs, self.log = [], None

    def Runtime(self, log):
        self.log = log
        return self

    def deserialize_cuda_engine(self, data):
        if data == b"engine":
            return Engine(self)
        self.log.log(Module.ILogger.ERROR, "expecting library version 1.7 got 1.6")
        self.log.log(Module.ILogger.WARNING, "nothing to say")
        return None
