"""Targets: what a backend takes, as data."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from importlib import resources
from typing import Any

from lprc.core import registry
from lprc.core.builtin import TARGET_ALIASES, TARGETS
from lprc.core.errors import UsageError
from lprc.core.legality import Rule, rule_from_table
from lprc.core.runtimes import RUNTIMES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Target:
    """One way to lower a model.

    Attributes:
        name: What users call it.
        description: One line.
        precision: The precision of the arithmetic, for instance ``float32``.
        pipeline: The default pipeline, as text.
        emitter: ``module:function``; called with the lowered ONNX and the folder to
            write into; it returns the files, the one that the runtime loads first. Empty for a
            target that only gives the lowered ONNX (``--emit onnx``).
        runtime: What runs the artefact: one of `lprc.core.runtimes.RUNTIMES`.
        reference: The float32 target of the same runtime, with which ``--guard`` compares; empty
            where there is none.
        tolerance: How far the artefact's outputs may be from the lowered graph's, relative to
            their magnitude.
        requires: The modules that the emitter imports.
        install: The command that installs them.
        rules: What the lowered graph must obey.
    """

    name: str
    description: str
    precision: str
    pipeline: str
    emitter: str
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
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"not TOML: {error}", where=where) from error
        return cls(**_checked(table, where))

    @classmethod
    def from_resource(cls, package: str, file: str) -> Target:
        """Read the TOML file that lies beside an emitter's module in `package`."""
        text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
        return cls.from_toml(text, where=file)


def target_names() -> list[str]:
    """The names of all targets, sorted, without aliases."""
    return registry.names(TARGETS, "lprc.targets")


def target(name: str) -> Target:
    """The target called `name`, or whose alias it is.

    Raises:
        UsageError: No such target, or a third party's that can't be loaded.
    """
    found = registry.load("target", TARGET_ALIASES.get(name, name), TARGETS, "lprc.targets")
    if not isinstance(found, Target):
        raise UsageError(f"'{name}' is not a Target", where="entry point group lprc.targets")
    return found


_OPTIONAL = ("emitter", "reference", "install")
_TEXT_KEYS = ("name", "description", "precision", "pipeline", "runtime", *_OPTIONAL)


def _checked(table: dict[str, Any], where: str) -> dict[str, Any]:
    known = {*_TEXT_KEYS, "tolerance", "requires", "rules"}
    for key in table:
        if key not in known:
            raise UsageError(
                f"unknown key '{key}'", where=where, hint=f"known: {', '.join(sorted(known))}"
            )
    for key in sorted(known - {"requires", *_OPTIONAL}):
        if key not in table:
            raise UsageError(f"key '{key}' is missing", where=where)
    values: dict[str, Any] = {
        **dict.fromkeys(_OPTIONAL, ""),
        **{key: table[key] for key in _TEXT_KEYS if key in table},
    }
    for key, value in values.items():
        if not isinstance(value, str):
            raise UsageError("must be a string", where=f"{where}: {key}")
    _check_emitter(values["emitter"], values["runtime"], where)
    values["pipeline"] = "".join(values["pipeline"].split())
    values["tolerance"] = _tolerance(table["tolerance"], where)
    values["requires"] = _strings(table.get("requires", []), f"{where}: requires")
    rules = table["rules"]
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise UsageError("must be tables", where=f"{where}: rules")
    values["rules"] = tuple(rule_from_table(each, where) for each in rules)
    return values


def _check_emitter(emitter: str, runtime: str, where: str) -> None:
    if runtime not in RUNTIMES:
        raise UsageError(
            f"unknown runtime '{runtime}'",
            where=f"{where}: runtime",
            hint=f"known: {', '.join(RUNTIMES)}",
        )
    if emitter and not all(emitter.partition(":")):
        raise UsageError("must be module:function", where=f"{where}: emitter")
    if emitter and RUNTIMES[runtime] is None:
        raise UsageError(
            f"lprc can't run '{runtime}', so it can't check what an emitter writes for it",
            where=f"{where}: emitter",
            hint="leave the emitter out",
        )


def _tolerance(value: Any, where: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise UsageError("must be a positive number", where=f"{where}: tolerance")
    return float(value)


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError("must be a list of strings", where=where)
    return tuple(value)
