"""Runtimes: what runs artefacts and model files, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lprc.core import registry
from lprc.core.builtin import RUNTIME_ALIASES, RUNTIMES
from lprc.core.errors import MissingDependencyError, UsageError
from lprc.core.process.installed import installed_versions, is_any_installed
from lprc.core.running.layer_times import LayerTime, Profiler
from lprc.core.running.runner import OpenJob, Runner

if TYPE_CHECKING:
    from lprc.core.running.numerics import Arrays

GROUP = "lprc.runtimes"

DEFAULT = "onnxruntime"
"""What runs ONNX files, lowered graphs among them, where nothing else is named."""


@dataclass(frozen=True)
class Runtime:
    """One runtime.

    Attributes:
        name: What a target's TOML, manifests and ``MODEL@NAME`` call it.
        title: What people call it, for instance ``ONNX Runtime``.
        file: The file of an artefact that it loads, for instance ``model.onnx``.
        opener: ``module:function``, an `lprc.core.running.runner.Opener`. The function imports
            the runtime, its module does not.
        suffixes: Of files that it opens by itself; empty for that of `file`. Where several do,
            lprc's own runtimes come first, and ``MODEL@NAME`` has the last word.
        companions: For a suffix those of the files that must lie beside one.
        compiled_only: Whether it runs only what was compiled for it, no ONNX file.
        device: Where it computes; artefacts for ``cuda`` can be built on machines that can't run
            them.
        requires: The modules that it needs; ``a|b`` is one of the two.
        install: The command that installs them.
        check: ``module:function``, which says in one line why this machine can't run anything, or
            None. Empty where `requires` says it all.
        profiler: ``module:function``, an `lprc.core.running.layer_times.Profiler`. Empty where
            nothing tells what each layer takes.
        packages: The Python packages that build for it, whose versions manifests tell.
    """

    name: str
    title: str
    file: str
    opener: str
    suffixes: tuple[str, ...] = ()
    companions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    compiled_only: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    requires: tuple[str, ...] = ()
    install: str = ""
    check: str = ""
    packages: tuple[str, ...] = ()
    profiler: str = ""

    @property
    def short_name(self) -> str:
        """Its alias where it has one, else its name."""
        aliases = (alias for alias, name in RUNTIME_ALIASES.items() if name == self.name)
        return next(aliases, self.name)

    @property
    def opened_suffixes(self) -> tuple[str, ...]:
        """Those of the files that it opens by itself."""
        return self.suffixes or (Path(self.file).suffix,)

    def versions(self) -> dict[str, str]:
        """The versions of the packages that it is, of those that are installed."""
        return installed_versions(
            self.packages or tuple(name for name in self.requires if "|" not in name)
        )

    def obstacle(self) -> str | None:
        """Why it runs nothing on this machine, in one line; None where it does."""
        if not all(map(is_any_installed, self.requires)):
            return f"{self.title} is not installed"
        if not self.check:
            return None
        found: str | None = registry.load_place(self.check, f"runtime '{self.name}'")()
        return found

    def open(self, job: OpenJob) -> Runner:
        """Load a file.

        Raises:
            MissingDependencyError: The runtime is not installed, or the device that it needs.
            InvalidModelError: It can't load the file.
        """
        if not all(map(is_any_installed, self.requires)):
            raise self._missing("is not installed", job.path)
        opener = registry.load_place(self.opener, f"runtime '{self.name}'")
        try:
            runner: Runner = opener(job)
        except ImportError as error:
            raise self._missing(f"can't be imported: {error}", job.path) from error
        return runner

    def layers(self, job: OpenJob, inputs: Arrays, runs: int) -> list[LayerTime]:
        """What each layer of a file takes.

        Raises:
            UsageError: The runtime does not tell.
            LprcError: As of `open`, or it fails on the inputs.
        """
        if not self.profiler:
            raise UsageError(
                f"{self.title} does not tell what layers take", where="--per-layer", hint="drop it"
            )
        profiler: Profiler = registry.load_place(self.profiler, f"runtime '{self.name}'")
        return list(profiler(job, inputs, runs))

    def _missing(self, what: str, path: Path) -> MissingDependencyError:
        hint = self.install or None
        return MissingDependencyError(f"{self.title} {what}", where=str(path), hint=hint)


def runtime_names() -> list[str]:
    """The names of all runtimes, sorted, without aliases."""
    return registry.names(RUNTIMES, GROUP)


def runtime(name: str) -> Runtime:
    """The runtime called `name`, or whose alias it is.

    Raises:
        UsageError: No such runtime, or a third party's that can't be loaded.
    """
    loaded = registry.load("runtime", name, RUNTIMES, GROUP, RUNTIME_ALIASES)
    if not isinstance(loaded, Runtime):
        raise UsageError(f"'{name}' is not a Runtime", where=f"entry point group {GROUP}")
    return loaded


def usable_runtimes() -> Iterator[Runtime]:
    """All runtimes, lprc's own first; a third party's that can't be loaded is left out.

    It is an error where it is named.
    """
    for name in [*RUNTIMES, *(name for name in runtime_names() if name not in RUNTIMES)]:
        try:
            yield runtime(name)
        except Exception:  # a third party's module may raise what it likes
            if name in RUNTIMES:
                raise


def runtime_of_file(path: Path) -> Runtime:
    """The first runtime that opens files like `path`; `DEFAULT` where none says so."""
    fitting = (item for item in usable_runtimes() if path.suffix in item.opened_suffixes)
    return next(fitting, None) or runtime(DEFAULT)
