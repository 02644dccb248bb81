"""All that there is to say of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc._version import __version__
from lprc.compiler.doctor.control_groups import Limits, limits
from lprc.compiler.doctor.noise import SECONDS, Noise, noise
from lprc.compiler.doctor.places import CachePlace, DataPlace, cache_place, data_places
from lprc.compiler.doctor.probe import write_probe
from lprc.compiler.doctor.processor import Processor, processor
from lprc.compiler.doctor.trials import (
    TargetTrial,
    targets_to_try,
    try_target,
)
from lprc.core.targets.runtimes import usable_runtimes

Report = Callable[[float, int], None]


@dataclass(frozen=True)
class Examination:
    """What this machine is, and what of lprc works on it.

    Attributes:
        processor: The processor.
        limits: What this process may use of it.
        noise: How noisy latencies are; None where that was not measured.
        runtimes: Versions of packages by runtime.
        obstacles: Why a runtime runs nothing here, by runtime; None where it does.
        targets: What was tried.
        cache: Where it is.
        data: The data that was found.
    """

    processor: Processor
    limits: Limits
    noise: Noise | None
    runtimes: dict[str, dict[str, str]]
    obstacles: dict[str, str | None]
    targets: tuple[TargetTrial, ...]
    cache: CachePlace
    data: tuple[DataPlace, ...]

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "lprc": __version__,
            "processor": self.processor.document(),
            "limits": self.limits.document(),
            "noise": None if self.noise is None else self.noise.document(),
            "runtimes": {
                name: {"versions": versions, "obstacle": self.obstacles[name]}
                for name, versions in self.runtimes.items()
            },
            "targets": [trial.document() for trial in self.targets],
            "cache": self.cache.document(),
            "data": [place.document() for place in self.data],
        }


def examine(
    targets: Sequence[str] = (),
    *,
    quick: bool = False,
    measure_noise: bool = True,
    seconds: float = SECONDS,
    threads: int | None = None,
    progress: Report | None = None,
) -> Examination:
    """Look at this machine.

    Args:
        targets: Which to try; none for one a runtime.
        quick: Whether to look at what is installed, instead of compiling a small network.
        measure_noise: Whether to find out how noisy latencies are.
        seconds: How long that takes.
        threads: CPU threads of the runtime meanwhile.
        progress: Called with the steps done and their number.

    Raises:
        UsageError: No such target, or variables of the environment that can't be understood.
    """
    cpu = processor()  # before SDKs are imported, which set variables of the environment
    names = list(targets) or targets_to_try()
    steps = len(names) + measure_noise
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        trials = []
        for index, name in enumerate(names):
            trials.append(try_target(name, folder, by_compiling=not quick))
            if progress is not None:
                progress(index + 1, steps)
        found_noise = None
        if measure_noise:
            model = folder / "measured.onnx"
            write_probe(model)
            found_noise = noise(model, seconds=seconds, threads=threads)
    runtimes = list(usable_runtimes())
    return Examination(
        processor=cpu,
        limits=limits(),
        noise=found_noise,
        runtimes={runtime.name: runtime.versions() for runtime in runtimes},
        obstacles={runtime.name: runtime.obstacle() for runtime in runtimes},
        targets=tuple(trials),
        cache=cache_place(),
        data=tuple(data_places()),
    )
