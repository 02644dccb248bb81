"""The options of the TensorRT targets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from lprc.core.errors import MissingDependencyError
from lprc.core.options import option
from lprc.core.process.installed import is_installed
from lprc.core.targets.emitter import Emit, TargetOptions
from lprc.targets.tensorrt_scripts import cuda_device
from lprc.targets.tensorrt_scripts.cuda_device import INSTALL, MODULES

_INSTALL = {**INSTALL, "rtx": 'pip install "lprc[tensorrt]"'}
_SIZE = r"[1-9]\d{0,8}"  # TensorRT's dimensions are below 2^31
_SIZES = re.compile(rf"{_SIZE}(x{_SIZE})*\Z")
_WORKSPACE = 1 << 24
"""16 TiB."""
_YEAR = 31_536_000

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorRTOptions(TargetOptions):
    """How TensorRT builds the engine; precision is in the graph."""

    runtime: Literal["auto", "rtx", "enterprise"] = option(
        "auto", "TensorRT-RTX or TensorRT; auto takes the first of them that is installed"
    )
    compute_capability: tuple[str, ...] = option(
        ("auto",),
        "GPUs to build for, for instance 86,89; auto: what the runtime does by itself, for "
        "TensorRT-RTX all from Ampere on",
    )
    batch: str = option("1/1/8", "least, usual and greatest size of a symbolic batch")
    profile: tuple[str, ...] = option(
        (), "least, usual and greatest shape of an input: image:1x3x24x94/1x3x24x94/8x3x24x94"
    )
    workspace: int | None = option(None, "memory in MiB that a kernel may use; none: no limit")
    unmet: Literal["fail", "warn"] = option(
        "fail", "what to do where a layer is not int8, or weights not sparse, as the graph asks"
    )
    verbosity: Literal["quiet", "warning", "info", "verbose"] = option(
        "quiet", "which of TensorRT's own messages to pass on to standard error"
    )
    time_limit: int = option(3600, "seconds that a build may take")

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if len(self.batch_sizes) != 3 or not _ascends([(size,) for size in self.batch_sizes]):
            raise ValueError(f"batch must be least/usual/greatest as in 1/4/8, not '{self.batch}'")
        if not self.compute_capability or len(set(self.compute_capability)) != len(
            self.compute_capability
        ):
            raise ValueError("compute-capability must be auto or different numbers")
        for capability in self.compute_capability if self.compute_capability != ("auto",) else ():
            if not re.fullmatch(r"[1-9]\d{1,2}", capability):
                raise ValueError(
                    f"compute-capability must be auto or as in 86 for 8.6, not '{capability}'"
                )
        if self.workspace is not None and not 1 <= self.workspace <= _WORKSPACE:
            raise ValueError(f"workspace must be from 1 to {_WORKSPACE} MiB")
        if not 1 <= self.time_limit <= _YEAR:
            raise ValueError(f"time-limit must be from 1 to {_YEAR} s")
        if len(self.shapes) != len(self.profile):
            raise ValueError("profile names an input twice")

    @property
    def compute_capabilities(self) -> list[str]:
        """The GPUs to build for; none leaves it to the runtime."""
        return [] if self.compute_capability == ("auto",) else list(self.compute_capability)

    @property
    def batch_sizes(self) -> Shape:
        """Least, usual and greatest size of a symbolic batch; empty if the text is malformed."""
        parts = self.batch.split("/")
        return tuple(map(int, parts)) if all(map(re.compile(rf"{_SIZE}\Z").match, parts)) else ()

    @property
    def shapes(self) -> dict[str, list[Shape]]:
        """Least, usual and greatest shape by input.

        Raises:
            ValueError: A profile that is not one.
        """
        return dict(map(_profile, self.profile))

    def obstacle(self) -> str | None:
        """An engine for other GPUs than the first one here can't be run."""
        try:
            here = cuda_device.capability()
        except cuda_device.EngineError:
            return None  # the runtime says it, for all engines
        if not self.compute_capabilities or here in self.compute_capabilities:
            return None
        wanted = ", ".join(self.compute_capabilities)
        return f"it is for compute capability {wanted}, and the GPU here has {here}"

    def check(self, emit: Emit) -> None:
        """Refuse a runtime that is not installed."""
        wanted = list(MODULES) if self.runtime == "auto" else [self.runtime]
        if emit != "engine" or any(is_installed(MODULES[runtime]) for runtime in wanted):
            return
        raise MissingDependencyError(
            f"{' or '.join(MODULES[runtime] for runtime in wanted)} is not installed",
            where="runtime",
            hint=f"{'; or '.join(_INSTALL[runtime] for runtime in wanted)}; "
            "or --emit kit builds it on the device",
        )


def _profile(text: str) -> tuple[str, list[Shape]]:
    name, _, shapes = text.rpartition(":")
    parts = shapes.split("/")
    if name and len(parts) == 3 and all(map(_SIZES.match, parts)):
        profile_shapes = [tuple(map(int, part.split("x"))) for part in parts]
        if _ascends(profile_shapes):
            return name, profile_shapes
    raise ValueError(
        f"profile must be NAME:least/usual/greatest as in image:1x3x24x94/1x3x24x94/8x3x24x94, "
        f"not '{text}'"
    )


def _ascends(shapes: list[Shape]) -> bool:
    if len({len(shape) for shape in shapes}) != 1:
        return False
    return all(list(sizes) == sorted(sizes) for sizes in zip(*shapes, strict=True))
