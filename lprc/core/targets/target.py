"""Targets: what a backend takes, as data."""

from __future__ import annotations

from dataclasses import dataclass

from lprc.core import registry
from lprc.core.builtin import TARGET_ALIASES, TARGETS
from lprc.core.errors import UsageError
from lprc.core.targets import target_file
from lprc.core.targets.emitter import TargetOptions
from lprc.core.targets.rules import Rule


@dataclass(frozen=True)
class Target:
    """One way to lower a model.

    Attributes:
        name: What users call it.
        description: One line.
        precision: The precision of the arithmetic, for instance ``float32``.
        pipeline: The default pipeline, as text.
        emitter: ``module:function``, an `lprc.core.targets.emitter.Emitter`. Empty for a
            target that only gives the lowered ONNX (``--emit onnx``).
        kit: The same for ``--emit kit``: what builds the artefact on the device.
        options: ``module:Class``, the target's options: a frozen dataclass derived from
            `lprc.core.targets.emitter.TargetOptions`. Empty for none.
        runtime: What runs the artefact: one of `lprc.core.targets.runtimes.runtime_names`.
        reference: The float32 target of the same runtime, with which ``--guard`` compares; empty
            where there is none.
        tolerance: How far the artefact's outputs may be from the lowered graph's, relative to
            their magnitude.
        requires: The modules that the emitter imports; ``a|b`` is one of the two.
        install: The command that installs them.
        rules: What the lowered graph must obey.
    """

    name: str
    description: str
    precision: str
    pipeline: str
    emitter: str
    kit: str
    options: str
    runtime: str
    reference: str
    tolerance: float
    requires: tuple[str, ...]
    install: str
    rules: tuple[Rule, ...]

    @classmethod
    def from_toml(cls, text: str, *, where: str) -> Target:
        """Read a target's TOML.

        Raises:
            UsageError: Not TOML, or a key or rule that is missing, unknown or ill-typed.
        """
        return cls(**target_file.from_text(text, where))

    @classmethod
    def from_resource(cls, package: str, file: str) -> Target:
        """Read the TOML file that lies beside an emitter's module in `package`.

        Its key ``extends`` names another one there, whose keys it takes over: ``then`` is added to
        that one's pipeline, ``pass-options`` sets options of passes in it, and a rule replaces the
        one of the same name, or is added.

        Raises:
            UsageError: As of `from_toml`, or the file that it extends is none.
        """
        return cls(**target_file.from_resource(package, file))

    def option_class(self) -> type[TargetOptions]:
        """The class of its options.

        Raises:
            UsageError: It can't be loaded.
        """
        if not self.options:
            return TargetOptions
        where = f"target '{self.name}'"
        loaded: type[TargetOptions] = registry.load_place(self.options, where)
        return loaded


def target_names() -> list[str]:
    """The names of all targets, sorted, without aliases."""
    return registry.names(TARGETS, "lprc.targets")


def target(name: str) -> Target:
    """The target called `name`, or whose alias it is.

    Raises:
        UsageError: No such target, or a third party's that can't be loaded.
    """
    found = registry.load("target", name, TARGETS, "lprc.targets", TARGET_ALIASES)
    if not isinstance(found, Target):
        raise UsageError(f"'{name}' is not a Target", where="entry point group lprc.targets")
    return found
