"""A target's TOML file: what may stand in it, and what it means with all that it refers to."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lprc.core import registry
from lprc.core.builtin import RUNTIMES, SHARED_PARTS
from lprc.core.errors import UsageError
from lprc.core.files.checked import StrictTable, WrongValue, checked
from lprc.core.files.toml_text import toml_table
from lprc.core.targets.rules import rule_from_table
from lprc.core.targets.shared_parts import resolved_pipeline, resolved_rule, shared_parts


def _place(value: str) -> str:
    if value and not all(value.partition(":")):
        raise ValueError("must be module:name")
    return value


def _runtime(name: str) -> str:
    if not registry.is_known(name, RUNTIMES, "lprc.runtimes"):
        listed = ", ".join(registry.names(RUNTIMES, "lprc.runtimes"))
        raise WrongValue(f"unknown runtime '{name}'", f"known: {listed}")
    return name


Place = Annotated[str, AfterValidator(_place)]


class TargetFile(StrictTable):
    """The keys of a file; `lprc.core.targets.target.Target` says what they mean.

    Attributes:
        extends: The file beside it whose keys it takes over.
        then: What is added to that one's pipeline.
        pass_options: Options of passes in the pipeline, by their names.
    """

    extends: str | None = None
    name: str | None = None
    description: str | None = None
    precision: str | None = None
    runtime: Annotated[str, AfterValidator(_runtime)] | None = None
    reference: str = ""
    emitter: Place = ""
    kit: Place = ""
    options: Place = ""
    requires: Annotated[tuple[str, ...], Field(strict=False)] = ()
    install: str = ""
    tolerance: Annotated[float, Field(gt=0)] | None = None
    pipeline: str | None = None
    then: str | None = None
    pass_options: dict[str, str] = Field(default_factory=dict)
    rules: list[dict[str, Any]] | None = None


_NEEDED = ("description", "name", "pipeline", "precision", "rules", "runtime", "tolerance")
_RESOLVED = ("extends", "then", "pass_options")


def from_text(text: str, where: str) -> dict[str, Any]:
    """The fields of a target from TOML that extends no other file.

    Raises:
        UsageError: Not TOML, or a key or rule that is missing, unknown or ill-typed.
    """
    table = _table(text, where)
    if "extends" in table:
        raise UsageError("only a file of a package can extend another", where=f"{where}: extends")
    return _fields(_with_shared_rules(table, SHARED_PARTS, where), SHARED_PARTS, where)


def from_resource(package: str, file: str) -> dict[str, Any]:
    """The fields of a target from a file in `package`.

    Raises:
        UsageError: As of `from_text`, or what it extends is not there or goes in a circle.
    """
    return _fields(_merged(package, file), package, file)


def _table(text: str, where: str) -> dict[str, Any]:
    """What the file says, each key of its type; keys that it does not have are left out."""
    table = toml_table(text, where=where, error=UsageError)
    found = checked(TargetFile, table, where=where, error=UsageError)
    return {key: getattr(found, key) for key in found.model_fields_set}


def _merged(package: str, file: str, *below: str) -> dict[str, Any]:
    resource = resources.files(package).joinpath(file)
    own = _with_shared_rules(_table(resource.read_text(encoding="utf-8"), file), package, file)
    if "extends" not in own:
        return own
    above = own.pop("extends")
    if not resources.files(package).joinpath(above).is_file():
        raise UsageError(f"no such file in {package}: '{above}'", where=f"{file}: extends")
    if above in (file, *below):
        raise UsageError("it extends itself", where=f"{file}: extends")
    parent = _merged(package, above, file, *below)
    if "then" in own:
        own["pipeline"] = _longer(parent, own, file)
    return {
        **parent,
        **own,
        "rules": _joined_rules(parent.get("rules", []), own.get("rules", [])),
        "pass_options": {**parent.get("pass_options", {}), **own.get("pass_options", {})},
    }


def _with_shared_rules(table: dict[str, Any], package: str, where: str) -> dict[str, Any]:
    if "rules" not in table:
        return table
    parts = shared_parts(package).rules
    return {**table, "rules": [resolved_rule(rule, parts, where) for rule in table["rules"]]}


def _longer(parent: dict[str, Any], own: dict[str, Any], file: str) -> str:
    """The parent's pipeline, and behind it what is to be added."""
    if "pipeline" in own:
        raise UsageError("'then' adds to another one's pipeline", where=f"{file}: pipeline")
    if "pipeline" not in parent:
        raise UsageError("key 'pipeline' is missing", where=file)
    return f"{str(parent['pipeline']).rstrip()}, {own.pop('then')}"


def _joined_rules(parent: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parent's, each replaced by the own one of its name, and what is left of those."""
    by_name = {rule.get("rule"): rule for rule in own}
    return [by_name.pop(rule.get("rule"), rule) for rule in parent] + list(by_name.values())


def _fields(table: dict[str, Any], package: str, where: str) -> dict[str, Any]:
    """The merged keys as what `Target` holds."""
    for key in _NEEDED:
        if key not in table:
            raise UsageError(f"key '{key}' is missing", where=where)
    if "then" in table:
        raise UsageError("it adds to the pipeline of what the file extends", where=f"{where}: then")
    values = {
        key: table.get(key, field.default)
        for key, field in TargetFile.model_fields.items()
        if key not in _RESOLVED
    }
    values["pipeline"] = resolved_pipeline(
        values["pipeline"], table.get("pass_options", {}), shared_parts(package).pipelines, where
    )
    values["rules"] = tuple(rule_from_table(rule, where) for rule in values["rules"])
    return values
