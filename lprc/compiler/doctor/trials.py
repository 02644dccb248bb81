"""Which targets work here: whether they build, whether what they build runs, found by trying."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.compile.emitters import obstacle, read_options, require
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.doctor.probe import probe_samples, write_probe
from lprc.core.errors import LprcError
from lprc.core.targets.runtimes import usable_runtimes
from lprc.core.targets.target import Target, target, target_names


@dataclass(frozen=True)
class TargetTrial:
    """What a target does here.

    Attributes:
        target: Its name.
        builds: Whether it makes artefacts here.
        runs: Whether they run here.
        why: What is in the way, in one line; empty where nothing is.
        remedy: What to do about it; empty where nothing is known.
        tried: Whether a small network was compiled; else only what is installed was looked at.
    """

    target: str
    builds: bool
    runs: bool
    why: str = ""
    remedy: str = ""
    tried: bool = False

    @property
    def works(self) -> bool:
        """Whether artefacts can be built and measured here."""
        return self.builds and self.runs

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {**vars(self), "works": self.works}


def targets_to_try() -> list[str]:
    """One target a runtime: its int8 one, which needs all that the others do."""
    chosen = []
    for runtime in usable_runtimes():
        goals = [target(name) for name in target_names()]
        fitting = [goal for goal in goals if goal.runtime == runtime.name and goal.emitter]
        own = [goal for goal in fitting if goal.name.startswith(runtime.short_name)] or fitting
        own.sort(key=lambda goal: (goal.precision != "int8", goal.name))
        chosen += [goal.name for goal in own[:1]]
    return chosen


def try_target(name: str, folder: Path, *, by_compiling: bool = True) -> TargetTrial:
    """Whether a target works here.

    Args:
        name: The target's name.
        folder: For a small network and its artefact.
        by_compiling: Whether to compile one; else what is installed is looked at.

    Raises:
        UsageError: No such target.
    """
    goal = target(name)
    options = read_options(goal, {})
    try:
        require(goal, options, "engine")
        if by_compiling:
            _compile(goal, folder)
    except LprcError as error:
        return TargetTrial(goal.name, False, False, error.message, error.hint or "", by_compiling)
    why = obstacle(goal, options)
    return TargetTrial(goal.name, True, why is None, why or "", tried=by_compiling)


def _compile(goal: Target, folder: Path) -> None:
    """Compile a small network; where it runs here, its outputs are compared.

    Raises:
        LprcError: It can't be compiled, or what comes out is wrong.
    """
    source = folder / "probe.onnx"
    if not source.is_file():
        write_probe(source)
    request = compile_request(source, goal.name, folder / goal.name, calibration=probe_samples())
    compile_model(request)
