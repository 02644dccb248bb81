"""A TensorRT engine on an NVIDIA GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

import numpy as np

if TYPE_CHECKING or __package__:
    from lprc.targets.tensorrt_scripts import cuda_device
    from lprc.targets.tensorrt_scripts.execution import Execution, Replay
else:  # in a kit, where the scripts lie side by side
    import cuda_device
    from execution import Execution, Replay

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]

# numpy has no bfloat16, and nothing narrower than a byte.
DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32),
    "HALF": np.dtype(np.float16),
    "INT8": np.dtype(np.int8),
    "UINT8": np.dtype(np.uint8),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "BOOL": np.dtype(np.bool_),
}


@cache
def logger(module: Any) -> Any:
    """The logger for all of this process, as TensorRT wants it; `errors` holds the last ones."""

    class Log(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=20)

        def log(self, severity: Any, message: str) -> None:
            if severity in (module.ILogger.INTERNAL_ERROR, module.ILogger.ERROR):
                self.errors.append(message.strip())

    return Log()


class Engine:
    """A loaded engine. `close` frees what it holds on the GPU, as does the end of its life.

    Attributes:
        inputs: Input names with their shapes; None for a dynamic dimension.
        dtypes: Input names with their element types.
        outputs: Output names.
        device: The GPU.
        module: ``tensorrt_rtx`` or ``tensorrt``.

    Raises:
        MissingModule: TensorRT or CUDA's bindings are not installed.
        NoGpu: There is none.
        BadEngine: TensorRT can't load the file, or numpy can't hold a tensor's elements.
    """

    def __init__(self, path: Path, module_name: str | None = None) -> None:
        self.device = cuda_device.devices()[0]  # before all else: without a GPU, TensorRT crashes
        self.module = cuda_device.tensorrt_module(module_name)
        cuda_device.check_supported(self.module)
        self._cuda = cuda_device.cuda_runtime()
        self._log = logger(self.module)
        self._log.errors.clear()
        self._engine = self._load(path)
        self.inputs: dict[str, tuple[int | None, ...]] = {}
        self.dtypes: dict[str, np.dtype[Any]] = {}
        self.outputs: list[str] = []
        self._output_dtypes: dict[str, np.dtype[Any]] = {}
        for index in range(self._engine.num_io_tensors):
            self._describe(self._engine.get_tensor_name(index), path)
        self._resources = ExitStack()
        self.close = finalize(self, self._resources.close)
        flags = self._cuda.cudaStreamNonBlocking
        self._stream = cuda_device.checked(self._cuda.cudaStreamCreateWithFlags(flags))
        self._resources.callback(self._cuda.cudaStreamDestroy, self._stream)
        self._execution = self._new_execution()

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Run it once; outputs by name.

        Raises:
            RunFailed: The inputs are not what the engine takes, or CUDA or TensorRT failed.
        """
        self._check_open()
        self._execution.load(self._checked(inputs))
        self._execution.enqueue()
        return self._execution.outputs()

    def bound(self, inputs: Arrays, *, cuda_graph: bool = True) -> Replay:
        """A function without arguments that runs it on `inputs`, which stay on the GPU, and waits.

        Args:
            inputs: Arrays by input name.
            cuda_graph: Capture a CUDA graph where that is possible; `Replay.cuda_graph` says.

        Raises:
            RunFailed: As of `run`.
        """
        self._check_open()
        return Replay(self, self._new_execution(), self._checked(inputs), cuda_graph=cuda_graph)

    def _check_open(self) -> None:
        if not self.close.alive:
            raise cuda_device.RunFailed("the engine is closed", "load it again")

    def _load(self, path: Path) -> Any:
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = f"{path} can't be read: {error.strerror}"
            raise cuda_device.BadEngine(reason, "name an engine's file") from error
        reason = f"{self.module.__name__} {self.module.__version__} can't load {path.name}"
        remedy = "build it with this version, and for this GPU's architecture"
        try:
            # Kept, because an engine must not outlive its runtime.
            self._runtime = self.module.Runtime(self._log)
            engine = self._runtime.deserialize_cuda_engine(data)
        except (RuntimeError, TypeError) as error:  # TypeError: pybind11 was given a null pointer
            said = self._log.errors[-1] if self._log.errors else str(error)
            raise cuda_device.BadEngine(f"{reason}: {said}", remedy) from error
        if engine is None:
            said = self._log.errors[-1] if self._log.errors else "it gives no reason"
            raise cuda_device.BadEngine(f"{reason}: {said}", remedy)
        return engine

    def _describe(self, name: str, path: Path) -> None:
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in DTYPES:
            numpy_types = ", ".join(str(dtype) for dtype in DTYPES.values())
            raise cuda_device.BadEngine(
                f"{path.name}: '{name}' is {kind}, which numpy can't hold",
                f"cast it inside the model to one of {numpy_types}, and build again",
            )
        if self._engine.get_tensor_location(name) != self.module.TensorLocation.DEVICE:
            raise cuda_device.BadEngine(
                f"{path.name}: '{name}' is a shape tensor, which lies in the host's memory",
                "make the shape a constant of the model, and build again",
            )
        if self._engine.get_tensor_mode(name) == self.module.TensorIOMode.INPUT:
            shape = self._engine.get_tensor_shape(name)
            self.inputs[name] = tuple(None if size < 0 else int(size) for size in shape)
            self.dtypes[name] = DTYPES[kind]
        else:
            self.outputs.append(name)
            self._output_dtypes[name] = DTYPES[kind]

    def _new_execution(self) -> Execution:
        if hasattr(self.module, "DynamicShapesKernelSpecializationStrategy"):
            # TensorRT-RTX's default compiles the kernels for a shape in the background, and runs
            # slower ones meanwhile, which a captured graph would keep.
            config = self._engine.create_runtime_config()
            config.dynamic_shapes_kernel_specialization_strategy = (
                self.module.DynamicShapesKernelSpecializationStrategy.EAGER
            )
            context = self._engine.create_execution_context(runtime_config=config)
        else:
            context = self._engine.create_execution_context()
        if context is None:
            said = self._log.errors[-1] if self._log.errors else "it gives no reason"
            raise cuda_device.RunFailed(
                f"TensorRT can't prepare the engine: {said}",
                "is the GPU's memory in use? nvidia-smi",
            )
        execution = Execution(self._cuda, self._stream, context, self._output_dtypes, self._log)
        self._resources.callback(execution.close)
        return execution

    def _checked(self, inputs: Arrays) -> dict[str, Array]:
        if set(inputs) != set(self.inputs):
            raise cuda_device.RunFailed(
                f"the inputs are {sorted(inputs)}, the engine's are {sorted(self.inputs)}",
                "give each input by its name",
            )
        # Not ascontiguousarray, which makes scalars one-dimensional.
        arrays = {name: np.asarray(inputs[name], order="C") for name in self.inputs}
        for name, array in arrays.items():
            self._check_input(name, array)
        return arrays

    def _check_input(self, name: str, array: Array) -> None:
        wanted, dtype = self.inputs[name], self.dtypes[name]
        if array.dtype != dtype:
            raise cuda_device.RunFailed(
                f"input '{name}' is {array.dtype}, the engine takes {dtype}", "convert the array"
            )
        low, high = [size or 0 for size in wanted], [size or 0 for size in wanted]
        if None in wanted:
            smallest, _, largest = self._engine.get_tensor_profile_shape(name, 0)
            low, high = list(smallest), list(largest)
        shape = list(array.shape)
        if len(shape) == len(low) and all(
            least <= size <= most for least, size, most in zip(low, shape, high, strict=True)
        ):
            return
        raise cuda_device.RunFailed(
            f"input '{name}' has the shape {shape}, the engine takes "
            + (f"{low}" if low == high else f"{low} to {high}"),
            "split the batch, or build the engine with other shapes in its profile",
        )
