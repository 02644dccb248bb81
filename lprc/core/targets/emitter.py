"""What an emitter is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lprc.core.options import check_least

if TYPE_CHECKING:  # a target's module says what there is without them
    import onnx_ir as ir

    from lprc.core.running.numerics import Arrays

INSTEAD = (
    "export that part in other operators, or choose a target that takes it: "
    "ort-fp32 and ort-int8 run all of ONNX"
)
"""What to do about a graph that an emitter can't take."""

Emit = Literal["onnx", "engine", "kit"]
"""How far to go: the lowered ONNX, the runtime's artefact, or what builds it on the device."""


@dataclass(frozen=True)
class TargetOptions:
    """Base of a target's options; a frozen dataclass, whose fields are they."""

    def __post_init__(self) -> None:
        """Refuse numbers that are too small."""
        check_least(self)

    def obstacle(self) -> str | None:
        """Why this machine can't run what these options ask for, in one line; None where it can."""
        return None

    def reaches_out(self) -> bool:
        """Whether the artefact depends on more than the graph, the options and this machine.

        For instance on a database of schedules: then it is made anew each time.
        """
        return False

    def check(self, emit: Emit) -> None:
        """Refuse what can't work here, before any work: an SDK that is missing, for instance.

        Raises:
            LprcError: What is wrong.
        """


@dataclass(frozen=True)
class EmitJob:
    """A lowered graph to translate.

    Paths become absolute: an emitter may hand them to a process that runs in another folder.

    Attributes:
        model: The lowered graph.
        lowered: Its file, absolute.
        folder: Where to write, absolute.
        target: The target's name.
        source: The model that it was made from, for errors.
        options: The target's options.
        inputs: Samples, one set of inputs each: real ones where there are any.
        tolerance: How far the artefact's outputs may be from the lowered graph's, relative to
            their magnitude.
        skips: Why a pass left nodes of the lowered graph as they are, by name.
        progress: Called with the steps done and their number; None where nobody listens.
    """

    model: ir.Model
    lowered: Path
    folder: Path
    target: str
    source: str
    options: TargetOptions
    inputs: Sequence[Arrays] = ()
    tolerance: float = 1e-3
    skips: Mapping[str, str] = field(default_factory=dict)
    progress: Callable[[float, int], None] | None = None

    def __post_init__(self) -> None:
        """Make the paths absolute, whatever they were given as."""
        for name in ("lowered", "folder"):
            object.__setattr__(self, name, getattr(self, name).absolute())


@dataclass(frozen=True)
class Emitted:
    """What was written.

    Attributes:
        files: The one that the runtime loads first.
        report: What the manifest says of it besides, JSON data without times and paths.
        warnings: What the user has to know.
        inputs: What to compare on, where the artefact does not take all of the job's; empty for
            those.
    """

    files: list[Path]
    report: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    inputs: Sequence[Arrays] = ()


Emitter = Callable[[EmitJob], Emitted]
