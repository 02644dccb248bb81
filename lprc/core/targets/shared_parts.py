"""Parts of pipelines and rules that several targets' files share, each written down once.

``shared.toml`` beside the files of targets names them. A third party's files may use lprc's own
parts, and those of a ``shared.toml`` of their package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from pydantic import Field

from lprc.core.builtin import SHARED_PARTS
from lprc.core.errors import UsageError
from lprc.core.files.checked import StrictTable, checked
from lprc.core.files.toml_text import toml_table

FILE = "shared.toml"

_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\}|[^,])+')
"""What stands between the commas of a pipeline: those in braces and quotes are not between."""


class SharedParts(StrictTable):
    """What a ``shared.toml`` holds.

    Attributes:
        pipelines: Pipeline text by name, in which ``@other`` stands for another one's.
        rules: A rule's table by name.
    """

    pipelines: dict[str, str] = Field(default_factory=dict)
    rules: dict[str, dict[str, Any]] = Field(default_factory=dict)


@cache
def shared_parts(package: str) -> SharedParts:
    """The parts that the files of targets in `package` may use.

    Raises:
        UsageError: A ``shared.toml`` that can't be read, or that names anew what lprc's own names.
    """
    ours = _read(SHARED_PARTS)
    if package == SHARED_PARTS or not resources.files(package).joinpath(FILE).is_file():
        return ours
    theirs = _read(package)
    for key in ("pipelines", "rules"):
        again = sorted(set(getattr(ours, key)) & set(getattr(theirs, key)))
        if again:
            raise UsageError(
                f"lprc shares '{again[0]}' itself",
                where=f"{package}/{FILE}: {key}",
                hint="choose a name with a prefix of yours",
            )
    return SharedParts(
        pipelines={**ours.pipelines, **theirs.pipelines}, rules={**ours.rules, **theirs.rules}
    )


def _read(package: str) -> SharedParts:
    text = resources.files(package).joinpath(FILE).read_text(encoding="utf-8")
    where = f"{package}/{FILE}"
    table = toml_table(text, where=where, error=UsageError)
    return checked(SharedParts, table, where=where, error=UsageError)


def resolved_pipeline(
    text: str, options: Mapping[str, str], parts: Mapping[str, str], where: str
) -> str:
    """Pipeline text without white space, shared parts and options that stand apart.

    Args:
        text: Pipeline text, in which ``@name`` stands for a part.
        options: Of passes in it by their names, for instance ``{"convert-opset": "minimum=19"}``.
        parts: By name.
        where: The file, for errors.

    Raises:
        UsageError: No such part, a part of itself, or options of a pass that is not in the
            pipeline or has some there.
    """
    items = list(_items(text, parts, where, ()))
    names = [item.partition("{")[0] for item in items]
    for name in options:
        place = f"{where}: pass-options.{name}"
        if name not in names:
            raise UsageError("no such pass is in the pipeline", where=place)
        if f"{name}{{" in (item[: len(name) + 1] for item in items):
            raise UsageError("the pass has options in the pipeline", where=place)
    with_options = (
        f"{item}{{{_compact(options[item])}}}" if item in options else item for item in items
    )
    return ",".join(with_options)


def _items(
    text: str, parts: Mapping[str, str], where: str, around: tuple[str, ...]
) -> Iterator[str]:
    for item in map(_compact, _ITEM.findall(text)):
        if not item.startswith("@"):
            yield item
            continue
        name = item[1:]
        if name not in parts:
            raise UsageError(
                f"no shared part is called '{name}'",
                where=f"{where}: pipeline",
                hint=f"known: {', '.join(parts)}",
            )
        if name in around:
            raise UsageError(f"'@{name}' is a part of itself", where=f"{where}: pipeline")
        yield from _items(parts[name], parts, where, (*around, name))


def _compact(text: str) -> str:
    return "".join(text.split())


def resolved_rule(
    table: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]], where: str
) -> dict[str, Any]:
    """A rule's table; one that says ``shared`` has that part's keys but where it has its own.

    Raises:
        UsageError: No such part.
    """
    own = dict(table)
    name = own.pop("shared", None)
    if name is None:
        return own
    if not isinstance(name, str) or name not in parts:
        raise UsageError(
            f"no shared rule is called '{name}'",
            where=f"{where}: rules",
            hint=f"known: {', '.join(parts)}",
        )
    return {**parts[name], **own}
