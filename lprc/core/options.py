"""Options of passes and targets: the fields of a dataclass, written and read as text."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from lprc.core.errors import UsageError

Owner = TypeVar("Owner")

_BARE = re.compile(r'[^\s{},="\\]+\Z')
"""Values that need no quotes in pipeline text; its grammar is in `lprc.core.passing.pipeline`."""


@dataclasses.dataclass(frozen=True)
class OptionInfo:
    """One option, as ``lprc passes NAME`` and ``lprc targets NAME`` print it."""

    name: str
    type: str
    default: str | None
    help: str


def option(default: Any, description: str, *, least: int | None = None) -> Any:
    """A dataclass field that is an option, with its documentation.

    Args:
        default: Its value where none is given.
        description: One line.
        least: The smallest number that it may be, as `check_least` says; None for no such limit.
    """
    return dataclasses.field(default=default, metadata={"help": description, "least": least})


def check_least(instance: Any) -> None:
    """Refuse options that are smaller than their `option` allows.

    Raises:
        ValueError: Which one, and what it must be at least.
    """
    for field in _fields(type(instance)):
        least, value = field.metadata.get("least"), getattr(instance, field.name)
        if least is not None and value is not None and value < least:
            raise ValueError(f"{_kebab(field.name)} must be at least {least}")


def option_infos(owner: type) -> list[OptionInfo]:
    """The options of `owner`, in the order of its fields."""
    hints = typing.get_type_hints(owner)
    return [
        OptionInfo(
            name=_kebab(field.name),
            type=_type_text(hints[field.name]),
            default=None
            if field.default is dataclasses.MISSING
            else ",".join(value_texts(field.default)),
            help=field.metadata.get("help", ""),
        )
        for field in _fields(owner)
    ]


def from_texts(owner: type[Owner], options: Mapping[str, tuple[str, ...]], where: str) -> Owner:
    """Build a pass or a target's options from texts.

    Args:
        owner: The dataclass.
        options: The texts by option name; several for an option that is a tuple.
        where: The pass or target, for errors.

    Raises:
        UsageError: An unknown option, a missing one, or a text that is not of the option's type.
    """
    hints = typing.get_type_hints(owner) if options else {}
    fields = {_kebab(field.name): field for field in _fields(owner)}
    values: dict[str, Any] = {}
    for key, texts in options.items():
        if key not in fields:
            raise UsageError(
                f"unknown option '{key}'",
                where=where,
                hint=_known(key, list(fields)),
                option=key,
            )
        field = fields[key]
        try:
            values[field.name] = _parse(hints[field.name], texts, f"{where}{{{key}}}")
        except UsageError as error:
            error.option = key
            raise
    for key, field in fields.items():
        if field.name not in values and field.default is dataclasses.MISSING:
            raise UsageError(f"option '{key}' has no value", where=where, option=key)
    try:
        return owner(**values)
    except ValueError as error:
        raise UsageError(str(error), where=where) from error


def option_texts(instance: Any) -> dict[str, tuple[str, ...]]:
    """The options of `instance` that differ from their defaults, as texts."""
    return {
        _kebab(field.name): value_texts(getattr(instance, field.name))
        for field in _fields(type(instance))
        if getattr(instance, field.name) != field.default
    }


def value_texts(value: Any) -> tuple[str, ...]:
    """The text of one option value; a tuple has one text an element, an empty one is `none`."""
    if value is None or value == ():
        return ("none",)
    if isinstance(value, tuple):
        return tuple(text for item in value for text in value_texts(item))
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (repr(value) if isinstance(value, float) else str(value),)


def with_options(name: str, options: Mapping[str, tuple[str, ...]]) -> str:
    """A pass as pipeline text: its name, and options as of `option_texts`."""
    items = ",".join(f"{key}={','.join(map(_quoted, texts))}" for key, texts in options.items())
    return f"{name}{{{items}}}" if items else name


def _quoted(text: str) -> str:
    return text if _BARE.match(text) else json.dumps(text, ensure_ascii=False)


def _fields(owner: type) -> tuple[dataclasses.Field[Any], ...]:
    if not dataclasses.is_dataclass(owner):
        raise TypeError(f"{owner.__name__} must be a frozen dataclass")
    return dataclasses.fields(owner)


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _known(key: str, names: list[str]) -> str:
    if not names:
        return "it has no options"
    close = difflib.get_close_matches(key, names, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    return f"{guess}known options: {', '.join(names)}"


def _type_text(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return "|".join(str(choice) for choice in get_args(hint))
    if origin in (Union, types.UnionType):
        return "|".join(
            "none" if part is type(None) else _type_text(part) for part in get_args(hint)
        )
    if origin is tuple:
        return f"{_type_text(get_args(hint)[0])},…"
    return str(getattr(hint, "__name__", hint))


def _parse(hint: Any, texts: tuple[str, ...], where: str) -> Any:
    if get_origin(hint) is tuple:
        if texts == ("none",):
            return ()
        element = get_args(hint)[0]
        return tuple(_parse(element, (text,), where) for text in texts)
    if len(texts) != 1:
        raise UsageError(f"takes one value, not {len(texts)}", where=where)
    matches = [value for parse in _parsers(hint) if (value := parse(texts[0])) is not _NO]
    if not matches:
        raise UsageError(f"'{texts[0]}' is not of type {_type_text(hint)}", where=where)
    return matches[0]


_NO = object()


def _parsers(hint: Any) -> list[Any]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        # A str would swallow every text, so it is tried last.
        parts = sorted(get_args(hint), key=lambda part: part is str)
        return [parser for part in parts for parser in _parsers(part)]
    if origin is Literal:
        choices = {str(choice): choice for choice in get_args(hint)}
        return [lambda text: choices.get(text, _NO)]
    parser = {
        type(None): lambda text: None if text == "none" else _NO,
        bool: lambda text: {"true": True, "false": False}.get(text, _NO),
        int: lambda text: _number(int, text),
        float: lambda text: _number(float, text),
        str: lambda text: text,
    }.get(hint)
    if parser is None:
        raise TypeError(f"options of type {hint} are not supported")
    return [parser]


def _number(convert: Any, text: str) -> Any:
    try:
        return convert(text)
    except ValueError:
        return _NO
