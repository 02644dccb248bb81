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
from lprc.core.targets.legality import Rule, rule_from_table
from lprc.core.targets.runtimes import RUNTIMES

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
        emitter: ``module:function``, an `lprc.core.targets.emitter.Emitter`. Empty for a
            target that only gives the lowered ONNX (``--emit onnx``).
        kit: The same for ``--emit kit``: what builds the artefact on the device.
        options: ``module:Class``, the target's options: a frozen dataclass derived from
            `lprc.core.targets.emitter.TargetOptions`. Empty for none.
        runtime: What runs the artefact: one of `lprc.core.targets.runtimes.RUNTIMES`.
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
        return cls(**_checked(_table(text, where), where))

    @classmethod
    def from_resource(cls, package: str, file: str) -> Target:
        """Read the TOML file that lies beside an emitter's module in `package`.

        Its key ``extends`` names another one there, whose keys it takes over: ``then`` is added to
        that one's pipeline, and a rule replaces the one of the same name, or is added.
        """
        return cls(**_checked(_extended(package, file), file))


def _table(text: str, where: str) -> dict[str, Any]:
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not TOML: {error}", where=where) from error
    return table


def _extended(package: str, file: str, *below: str) -> dict[str, Any]:
    resource = resources.files(package).joinpath(file)
    table = _table(resource.read_text(encoding="utf-8"), file)
    if "extends" not in table:
        return table
    above = _parent(table.pop("extends"), package, file)
    if above in (file, *below):
        raise UsageError("it extends itself", where=f"{file}: extends")
    parent = _extended(package, above, file, *below)
    own = {rule.get("rule"): rule for rule in _rule_tables(table, file)}
    inherited = _rule_tables(parent, file)
    rules = [own.pop(rule.get("rule"), rule) for rule in inherited] + list(own.values())
    if "then" in table:
        table["pipeline"] = _longer(parent, table, file)
    return {**parent, **table, "rules": rules}


def _longer(parent: dict[str, Any], table: dict[str, Any], file: str) -> str:
    """The parent's pipeline, and behind it what is to be added."""
    then = table.pop("then")
    if "pipeline" in table:
        raise UsageError("'then' adds to another one's pipeline", where=f"{file}: pipeline")
    if not isinstance(then, str):
        raise UsageError("must be a string", where=f"{file}: then")
    if "pipeline" not in parent:
        raise UsageError("key 'pipeline' is missing", where=file)
    return f"{str(parent['pipeline']).rstrip()}, {then}"


def _parent(name: Any, package: str, file: str) -> str:
    if not isinstance(name, str) or not resources.files(package).joinpath(name).is_file():
        raise UsageError(f"no such file in {package}: '{name}'", where=f"{file}: extends")
    return name


def _rule_tables(table: dict[str, Any], file: str) -> list[dict[str, Any]]:
    rules = table.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        raise UsageError("must be tables", where=f"{file}: rules")
    return rules


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


_PLACES = ("emitter", "kit", "options")
_OPTIONAL = (*_PLACES, "reference", "install")
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
    _check_runtime(values["runtime"], where)
    for key in _PLACES:
        _check_place(values[key], f"{where}: {key}")
    values["pipeline"] = "".join(values["pipeline"].split())
    values["tolerance"] = _tolerance(table["tolerance"], where)
    values["requires"] = _strings(table.get("requires", []), f"{where}: requires")
    values["rules"] = tuple(rule_from_table(each, where) for each in _rule_tables(table, where))
    return values


def _check_runtime(runtime: str, where: str) -> None:
    if runtime not in RUNTIMES:
        raise UsageError(
            f"unknown runtime '{runtime}'",
            where=f"{where}: runtime",
            hint=f"known: {', '.join(RUNTIMES)}",
        )


def _check_place(place: str, where: str) -> None:
    if place and not all(place.partition(":")):
        raise UsageError("must be module:name", where=where)


def _tolerance(value: Any, where: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise UsageError("must be a positive number", where=f"{where}: tolerance")
    return float(value)


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError("must be a list of strings", where=where)
    return tuple(value)
