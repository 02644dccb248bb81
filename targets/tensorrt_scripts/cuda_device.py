"""CUDA devices, CUDA calls and the modules that both need, with errors that say what to do."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

MODULES = {"rtx": "tensorrt_rtx", "enterprise": "tensorrt"}
"""The vendor's modules, by what users call the runtime; the first that is installed is taken."""

INSTALL = {
    "rtx": "pip install tensorrt-rtx",
    "enterprise": "pip install tensorrt --extra-index-url https://pypi.nvidia.com; "
    "on a Jetson it comes with JetPack",
}
"""The commands that install them."""


class EngineError(Exception):
    """A failure, and what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}"


class MissingModule(EngineError):
    """A Python module that can't be imported."""


class NoGpu(EngineError):
    """No GPU that CUDA can use."""


class BadEngine(EngineError):
    """A file that TensorRT can't load, or an engine whose tensors numpy can't hold."""


class RunFailed(EngineError):
    """Inputs that the engine does not take, or an error of CUDA or TensorRT."""


def tensorrt_module(name: str | None = None) -> Any:
    """The module called `name`; by default TensorRT-RTX, else TensorRT.

    Raises:
        MissingModule: It can't be imported.
    """
    reasons = []
    for module_name in (name,) if name else MODULES.values():
        try:
            module = importlib.import_module(module_name)
        except (ImportError, OSError) as error:  # OSError: a shared library that can't be loaded
            reasons.append(f"{module_name}: {error}")
            continue
        if module.__spec__ is None or module.__spec__.origin is not None:
            return module
        reasons.append(f"{module_name}: a folder of that name is no module")
    raise MissingModule(f"TensorRT can't be imported ({'; '.join(reasons)})", INSTALL["rtx"])


def cuda_runtime() -> Any:
    """The CUDA runtime's bindings.

    Raises:
        MissingModule: They are not installed.
    """
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingModule(
            f"the CUDA bindings can't be imported ({error})", "pip install cuda-bindings"
        ) from error


def devices() -> list[str]:
    """The names and compute capabilities of the GPUs that CUDA can use.

    Raises:
        NoGpu: There is none; TensorRT would crash.
        MissingModule: CUDA's bindings are not installed.
    """
    cuda = cuda_runtime()
    code, count = cuda.cudaGetDeviceCount()
    if int(code) != 0 or not count:
        raise NoGpu(*_why_none(cuda, code))
    properties = (checked(cuda.cudaGetDeviceProperties(index)) for index in range(count))
    return [f"{_text(gpu.name)}, compute capability {gpu.major}.{gpu.minor}" for gpu in properties]


def capability() -> str:
    """The first GPU's compute capability, ``86`` for 8.6.

    Raises:
        NoGpu: There is none.
        MissingModule: CUDA's bindings are not installed.
    """
    devices()
    properties = checked(cuda_runtime().cudaGetDeviceProperties(0))
    return f"{properties.major}{properties.minor}"


def check_supported(module: Any) -> None:
    """Refuse a GPU that `module` runs no engine on; TensorRT-RTX alone lists those that it does.

    Raises:
        NoGpu: The first GPU is of none of its compute capabilities, nor newer than all of them.
    """
    listed = getattr(module, "ComputeCapability", None)
    if listed is None:
        return
    names = [name.removeprefix("SM") for name in dir(listed) if name.startswith("SM")]
    here = capability()
    if here in names or int(here) > max(map(int, names)):
        return
    raise NoGpu(
        f"{module.__name__} {module.__version__} does not support {devices()[0]}",
        f"it runs on {', '.join(sorted(names, key=int))} and newer; TensorRT runs on others",
    )


def _why_none(cuda: Any, code: Any) -> tuple[str, str]:
    driver = checked(cuda.cudaDriverGetVersion())
    if driver == 0:
        return "there is no NVIDIA driver", "run it on a machine with an NVIDIA GPU"
    if code == cuda.cudaError_t.cudaErrorInsufficientDriver:
        needed = version_text(checked(cuda.cudaRuntimeGetVersion()))
        return (
            f"the NVIDIA driver is for CUDA {version_text(driver)}, the bindings for CUDA {needed}",
            "update the driver, or install cuda-bindings of the driver's version",
        )
    reason = "" if int(code) == 0 else f" ({_text(cuda.cudaGetErrorName(code)[1])})"
    return (
        f"CUDA finds no GPU{reason}",
        "see nvidia-smi and CUDA_VISIBLE_DEVICES; containers need --gpus all",
    )


def versions(module: Any) -> dict[str, str]:
    """The versions that a measurement depends on."""
    cuda = cuda_runtime()
    driver = Path("/proc/driver/nvidia/version")  # not on Jetson, which names CUDA's alone
    first = driver.read_text(encoding="utf-8").splitlines()[0] if driver.is_file() else ""
    numbers = [word for word in first.split() if word.replace(".", "").isdigit()]
    return {
        "driver": numbers[0] if numbers else "unknown",
        "driver_cuda": version_text(checked(cuda.cudaDriverGetVersion())),
        "runtime_cuda": version_text(checked(cuda.cudaRuntimeGetVersion())),
        module.__name__: str(module.__version__),
    }


def version_text(number: int) -> str:
    """CUDA's 13050 is version 13.5."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def checked(result: tuple[Any, ...]) -> Any:
    """The value of a CUDA call.

    Raises:
        RunFailed: It failed.
    """
    code, *values = result
    if int(code) != 0:
        cuda = cuda_runtime()
        name, text = (
            _text(call(code)[1]) for call in (cuda.cudaGetErrorName, cuda.cudaGetErrorString)
        )
        raise RunFailed(f"CUDA failed: {text} ({name})", "see nvidia-smi; a smaller batch may fit")
    return values[0] if values else None
