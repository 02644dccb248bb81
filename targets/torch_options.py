"""The options of torch's targets."""

from __future__ import annotations

from dataclasses import dataclass

from lprc.core.errors import MissingDependencyError
from lprc.core.options import option
from lprc.core.process.cxx_compiler import cxx_compiler
from lprc.core.targets.emitter import Emit, TargetOptions


@dataclass(frozen=True)
class TorchScriptOptions(TargetOptions):
    """How a trace is laid out, and what is done to it when it is loaded."""

    channels_last: bool = option(True, "whether kernels and images have their channels last")
    optimize: bool = option(
        False, "whether optimize_for_inference runs when it is loaded: it can't be stored"
    )
    time_limit: int = option(600, "seconds that tracing may take", least=1)


@dataclass(frozen=True)
class AotiOptions(TargetOptions):
    """How Inductor compiles."""

    freezing: bool = option(True, "whether weights are constants that are packed in advance")
    max_autotune: bool = option(False, "whether Inductor measures several kernels for each product")
    channels_last: bool = option(True, "whether kernels and images have their channels last")
    threads: int = option(
        0, "threads of generated loops; 0: as many as torch has at run time", least=0
    )
    time_limit: int = option(3600, "seconds that compiling may take", least=1)

    def check(self, emit: Emit) -> None:
        """Refuse to compile without a compiler."""
        if emit == "engine" and cxx_compiler() is None:
            raise MissingDependencyError(
                "AOTInductor compiles with a C++ compiler, and there is none",
                hint="install g++ or clang++; --emit onnx needs none",
            )


@dataclass(frozen=True)
class ExecuTorchOptions(TargetOptions):
    """What lowering may take."""

    time_limit: int = option(600, "seconds that lowering may take", least=1)
