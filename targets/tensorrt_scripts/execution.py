"""Runs of an engine: device memory, shapes, copies and CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING or __package__:
    from lprc.targets.tensorrt_scripts.cuda_device import RunFailed, checked
else:  # in a kit, where the scripts lie side by side
    from cuda_device import RunFailed, checked

Array = np.ndarray[Any, Any]


class Execution:
    """An execution context with device memory of its own, which grows and is used again."""

    def __init__(
        self,
        cuda: Any,
        stream: Any,
        context: Any,
        outputs: Mapping[str, np.dtype[Any]],
        log: Any,
    ) -> None:
        self._cuda, self._stream, self._context, self._log = cuda, stream, context, log
        self._outputs = outputs
        self._blocks: dict[str, tuple[int, int]] = {}
        self._graphs: list[Any] = []

    def load(self, inputs: Mapping[str, Array]) -> None:
        """Set the shapes, give each tensor memory, and copy `inputs` there.

        Raises:
            RunFailed: TensorRT refuses a shape, or the GPU has too little memory.
        """
        self._log.errors.clear()
        for name, array in inputs.items():
            if not self._context.set_input_shape(name, array.shape):
                self._fail(f"TensorRT refuses the shape {list(array.shape)} of input '{name}'")
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as error:
            self._fail(f"TensorRT can't infer the shapes of the outputs ({error})")
        if missing:
            self._fail(f"TensorRT wants more than the shapes of the inputs: {', '.join(missing)}")
        for name, array in inputs.items():
            self._place(name, array.nbytes)
        for name, dtype in self._outputs.items():
            self._place(name, dtype.itemsize * int(np.prod(self._shape(name), dtype=np.int64)))
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        for name, array in inputs.items():
            self._copy(self._blocks[name][0], array.ctypes.data, array.nbytes, kind)
        # The arrays may be gone when the caller returns.
        self.wait()

    def enqueue(self) -> None:
        """Start one run.

        Raises:
            RunFailed: TensorRT can't.
        """
        if not self._context.execute_async_v3(int(self._stream)):
            self._fail("TensorRT can't run the engine")

    def wait(self) -> None:
        """Wait for what was started.

        Raises:
            RunFailed: It failed on the GPU.
        """
        checked(self._cuda.cudaStreamSynchronize(self._stream))

    def outputs(self) -> dict[str, Array]:
        """The outputs of the last run, copied to the host."""
        found = {name: np.empty(self._shape(name), dtype) for name, dtype in self._outputs.items()}
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        for name, array in found.items():
            self._copy(array.ctypes.data, self._blocks[name][0], array.nbytes, kind)
        self.wait()
        return found

    def capture(self) -> Any | None:
        """The graph of a run, to be launched; None where this engine can't be captured.

        It keeps the shapes and addresses: `load` must not be called again. TensorRT wants a run
        with these shapes before, in which it may allocate and compile.
        """
        # TensorRT-RTX alone tells beforehand.
        capturable = getattr(self._context, "is_stream_capturable", None)
        if capturable is not None and not capturable(int(self._stream)):
            return None
        # Other threads, TensorRT's own too, may do then what a capture forbids.
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        checked(self._cuda.cudaStreamBeginCapture(self._stream, mode))
        try:
            enqueued = self._context.execute_async_v3(int(self._stream))
        finally:
            code, graph = self._cuda.cudaStreamEndCapture(self._stream)
        if int(code) != 0:
            self._cuda.cudaGetLastError()  # or the next call would report it
            return None
        try:
            if not enqueued:
                return None
            executable = checked(self._cuda.cudaGraphInstantiate(graph, 0))
        finally:
            self._cuda.cudaGraphDestroy(graph)
        self._graphs.append(executable)
        return executable

    def launch(self, graph: Any) -> None:
        """Start one run of `graph`.

        Raises:
            RunFailed: CUDA can't.
        """
        checked(self._cuda.cudaGraphLaunch(graph, self._stream))

    def elapsed_ms(self, start: Callable[[], None], count: int) -> float:
        """Milliseconds between two events around `count` calls of `start`, on this stream.

        Raises:
            RunFailed: CUDA can't.
        """
        first, last = (checked(self._cuda.cudaEventCreate()) for _ in range(2))
        try:
            checked(self._cuda.cudaEventRecord(first, self._stream))
            for _ in range(count):
                start()
            checked(self._cuda.cudaEventRecord(last, self._stream))
            checked(self._cuda.cudaEventSynchronize(last))
            return float(checked(self._cuda.cudaEventElapsedTime(first, last)))
        finally:
            for event in (first, last):
                self._cuda.cudaEventDestroy(event)

    def close(self) -> None:
        """Free its graphs and device memory; without an error, as nothing could be done then."""
        while self._graphs:
            self._cuda.cudaGraphExecDestroy(self._graphs.pop())
        for name in list(self._blocks):
            self._free(name)

    def _place(self, name: str, size: int) -> None:
        needed = max(size, 1)  # TensorRT wants an address for empty tensors too
        if self._blocks.get(name, (0, 0))[1] < needed:
            self._free(name)
            self._blocks[name] = int(checked(self._cuda.cudaMalloc(needed))), needed
        if not self._context.set_tensor_address(name, self._blocks[name][0]):
            self._fail(f"TensorRT refuses the memory of '{name}'")

    def _free(self, name: str) -> None:
        if name in self._blocks:
            self._cuda.cudaFree(self._blocks.pop(name)[0])

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = tuple(int(size) for size in self._context.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise RunFailed(
                f"the shape of output '{name}' depends on the data",
                "end the model in front of it (NonZero, NonMaxSuppression …), and build again",
            )
        return shape

    def _copy(self, destination: int, source: int, size: int, kind: Any) -> None:
        if size:
            checked(self._cuda.cudaMemcpyAsync(destination, source, size, kind, self._stream))

    def _fail(self, message: str) -> NoReturn:
        said = f": {self._log.errors[-1]}" if self._log.errors else ""
        raise RunFailed(message + said, "build the engine again with other shapes in its profile")


class Replay:
    """Runs an engine on inputs that stay on the GPU, and waits: call it.

    Attributes:
        cuda_graph: Whether a captured CUDA graph is launched; else the engine is enqueued, kernel
            by kernel.
    """

    def __init__(
        self, owner: Any, execution: Execution, inputs: Mapping[str, Array], *, cuda_graph: bool
    ) -> None:
        self._owner = owner  # whose end would free the memory
        self._execution = execution
        execution.load(inputs)
        execution.enqueue()
        execution.wait()
        self._graph = execution.capture() if cuda_graph else None
        self.cuda_graph = self._graph is not None

    def __call__(self) -> None:
        """Run once and wait.

        Raises:
            RunFailed: CUDA or TensorRT failed, or the engine was closed.
        """
        if not self._owner.close.alive:
            raise RunFailed("the engine is closed", "load it again")
        self._start()
        self._execution.wait()

    def device_ms(self, count: int) -> float:
        """Milliseconds on the GPU of one of `count` runs started without waiting between them.

        Measured by two CUDA events on the engine's stream.

        Raises:
            RunFailed: CUDA or TensorRT failed, or the engine was closed.
        """
        if not self._owner.close.alive:
            raise RunFailed("the engine is closed", "load it again")
        return self._execution.elapsed_ms(self._start, count) / count

    def outputs(self) -> dict[str, Array]:
        """The outputs of the last run."""
        return self._execution.outputs()

    def _start(self) -> None:
        if self._graph is None:
            self._execution.enqueue()
        else:
            self._execution.launch(self._graph)
