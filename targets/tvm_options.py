"""The options of the TVM targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lprc.core.errors import MissingDependencyError
from lprc.core.options import option
from lprc.core.process.cxx_compiler import cxx_compiler
from lprc.core.targets.emitter import Emit, TargetOptions
from lprc.targets.tvm_backend.versions import check_versions


@dataclass(frozen=True)
class TVMOptions(TargetOptions):
    """Which machine TVM generates code for, and how long it looks for better schedules."""

    mcpu: str = option("auto", "CPU as LLVM names it, for instance cascadelake or cortex-a72")
    mattr: tuple[str, ...] = option((), "CPU features as LLVM names them, for instance +avx512vnni")
    triple: str = option("auto", "for instance aarch64-linux-gnu; auto: this machine")
    num_cores: int | None = option(
        None, "cores of the device; none: those of this machine", least=1
    )
    tune_trials: int = option(
        0, "schedules to try out in all; 0 takes known and default ones", least=0
    )
    tune_seconds: int | None = option(None, "seconds that tuning may take", least=1)
    tune_patience: int = option(
        64, "trials without a better one after which a kernel is left", least=1
    )
    tune_workers: int = option(0, "processes that build candidates; 0: one a core", least=0)
    tuning_db: str | None = option(None, "folder of tuning records, read and added to")
    rpc_tracker: str | None = option(None, "HOST:PORT of TVM's tracker, to measure on its devices")
    rpc_key: str | None = option(None, "which of the tracker's devices")
    seed: int = option(0, "of what is tried")
    time_limit: int = option(7200, "seconds that all may take", least=1)

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        super().__post_init__()
        for complaint in (*self._machine_complaints(), *self._tuning_complaints()):
            raise ValueError(complaint)

    def _machine_complaints(self) -> Iterator[str]:
        for name in ("mcpu", "triple"):
            if not re.fullmatch(r"[\w.+-]+", getattr(self, name)):
                yield f"{name} is not one: '{getattr(self, name)}'"
        for feature in self.mattr:
            if not re.fullmatch(r"[+-][\w.-]+", feature):
                yield f"mattr wants + or - and a feature, not '{feature}'"
        if self.crosses and self.mcpu == "auto":
            yield "triple wants an mcpu too: this machine's is none of that kind"

    def _tuning_complaints(self) -> Iterator[str]:
        if (self.rpc_tracker is None) != (self.rpc_key is None):
            yield "rpc-tracker and rpc-key belong together"
        if self.rpc_tracker is not None and not re.fullmatch(r".+:\d{1,5}", self.rpc_tracker):
            yield f"rpc-tracker must be HOST:PORT, not '{self.rpc_tracker}'"
        if self.crosses and self.tune_trials and self.rpc_tracker is None:
            yield "schedules for another machine are measured there: give rpc-tracker and rpc-key"

    @property
    def crosses(self) -> bool:
        """Whether code is generated for another kind of machine, as far as the options tell."""
        return self.triple != "auto"

    @property
    def database(self) -> Path | None:
        """The folder of tuning records."""
        return None if self.tuning_db is None else Path(self.tuning_db)

    def obstacle(self) -> str | None:
        """A library for another kind of machine runs there."""
        return f"it is for {self.triple}" if self.crosses else None

    def reaches_out(self) -> bool:
        """Tuning records lie in a folder, and schedules may be measured elsewhere."""
        return self.tuning_db is not None or self.rpc_tracker is not None

    def check(self, emit: Emit) -> None:
        """Refuse versions of TVM that crash, and to link without a compiler."""
        if emit != "engine":
            return
        check_versions()
        if not self.crosses and cxx_compiler() is None:
            raise MissingDependencyError(
                "TVM links libraries with a C++ compiler, and there is none",
                hint="install g++ or clang++",
            )
