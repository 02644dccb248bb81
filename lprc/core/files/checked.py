"""What was read from disk, checked by a pydantic model: the first thing wrong, in lprc's words."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lprc.core.errors import LprcError
from lprc.core.files.json_text import parse_json
from lprc.core.files.regular import read_regular


class WrongValue(ValueError):
    """What a validator raises.

    Args:
        message: What is wrong.
        hint: What would be right.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Strict(BaseModel):
    """Data that has the keys of its class and no others, of exactly their types."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, regex_engine="python-re"
    )


class Open(Strict):
    """Data of which only these keys matter; whoever writes it may say more."""

    model_config = ConfigDict(extra="allow")


class StrictTable(Strict):
    """The same for TOML, where a key is spelt ``like-this``."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_alias=True,
        validate_by_name=False,
    )


Model = TypeVar("Model", bound=BaseModel)

_LONGEST = 80
"""Characters of a foreign key that a message shows."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with data.

    Attributes:
        path: The keys and indices that lead to it.
        message: What is wrong there.
        hint: What would be right; None where the message says it.
        key: The key that is missing there, or unknown; None where the value itself is wrong.
        unknown_key: Whether `key` is unknown.
    """

    path: tuple[str, ...]
    message: str
    hint: str | None = None
    key: str | None = None
    unknown_key: bool = False


def checked(
    model: type[Model], data: Any, *, where: str, error: type[LprcError], path: Path | None = None
) -> Model:
    """`data` as a `model`.

    Args:
        model: What it must be.
        data: TOML or JSON data.
        where: The file, for errors.
        error: What to raise.
        path: The file, for programs that read errors.

    Raises:
        LprcError: It is something else; of the class `error`, with the key in ``where``.
    """
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        problem = first_problem(invalid, model)
        place = ".".join(problem.path)
        raise error(
            problem.message,
            where=f"{where}: {place}" if place else where,
            hint=problem.hint,
            path=path,
        ) from invalid


def checked_json(
    model: type[Model], path: Path, *, error: type[LprcError], hint: str | None = None
) -> Model:
    """What a JSON file holds, as a `model`.

    Args:
        model: What it must be.
        path: The file.
        error: What to raise.
        hint: What to do where it can't be read or is something else.

    Raises:
        LprcError: It can't be read or is something else; of the class `error`.
    """
    try:
        data = parse_json(read_regular(path))
    except (OSError, ValueError) as problem:
        raise error(f"can't be read: {problem}", where=str(path), hint=hint, path=path) from problem
    try:
        return checked(model, data, where=str(path), error=error, path=path)
    except LprcError as problem:
        problem.hint = problem.hint or hint
        raise


def fits(model: type[BaseModel], data: Any) -> bool:
    """Whether `data` is what a `model` is made from."""
    try:
        model.model_validate(data)
    except ValidationError:
        return False
    return True


def first_problem(error: ValidationError, model: type[BaseModel]) -> Problem:
    """What to tell of `error`: an unknown key before all else, for it may be the one missing."""
    entries = error.errors(include_url=False)
    entry = next((item for item in entries if item["type"] == "extra_forbidden"), entries[0])
    path, owner = _followed(model, entry["loc"])
    if entry["type"] == "extra_forbidden":
        accepted_keys = _keys(owner)
        close = difflib.get_close_matches(path[-1], accepted_keys, n=1)
        guess = f"did you mean '{close[0]}'? " if close else ""
        listed = f"{guess}known: {', '.join(accepted_keys)}" if accepted_keys else "it takes none"
        key = path[-1][:_LONGEST]
        return Problem(path[:-1], f"unknown key '{key}'", listed, key, unknown_key=True)
    if entry["type"] == "missing":
        return Problem(path[:-1], f"key '{path[-1]}' is missing", key=path[-1])
    cause = entry.get("ctx", {}).get("error")
    noun = "a table" if issubclass(model, StrictTable) else "an object"
    return Problem(
        path, _message(entry, noun), cause.hint if isinstance(cause, WrongValue) else None
    )


_MESSAGES = {
    "bool_type": "must be true or false",
    "dict_type": "must be {noun}",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "mapping_type": "must be {noun}",
    "model_type": "must be {noun}",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "is longer than {max_length} characters",
    "string_type": "must be a string",
    "too_long": "has more than {max_length} items",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "value_error": "{error}",
}
"""By pydantic's name for an error; its own message serves where none is here."""


def _message(entry: Mapping[str, Any], noun: str) -> str:
    message = _MESSAGES.get(entry["type"])
    if message is None:
        said = str(entry["msg"]).removeprefix("Input ")
        return said[:1].lower() + said[1:]
    return message.format(noun=noun, **entry.get("ctx", {}))


def _followed(
    model: type[BaseModel], location: Sequence[str | int]
) -> tuple[tuple[str, ...], type[BaseModel] | None]:
    """The keys and indices of `location`, without pydantic's names for the branches of unions.

    Returns:
        They, and the model whose key the last one is; None where it is no model's.
    """
    path: list[str] = []
    owner: type[BaseModel] | None = None
    places: list[Any] = [model]
    for part in location:
        if part == "[key]":  # behind a key that is not as it must be
            continue
        inner = [further for place in places for further in _inside(place, part)]
        models = [place for place in places if _is_model(place)]
        if not inner and not models:
            continue  # a branch's name
        owner = models[0] if models else None
        path.append(str(part))
        places = inner
    return tuple(path), owner


def _inside(place: Any, part: str | int) -> list[Any]:
    """The types that may stand under `part` in data of the type `place`."""
    if _is_model(place):
        return [
            branch
            for name, field in place.model_fields.items()
            if part in (name, field.alias)
            for branch in _branches(field.annotation)
        ]
    arguments = [item for item in typing.get_args(place) if item is not Ellipsis]
    origin = typing.get_origin(place)
    if origin in (list, tuple) and isinstance(part, int) and arguments:
        return _branches(arguments[0])
    if origin is dict:
        return _branches(arguments[1])
    return []


def _branches(annotation: Any) -> list[Any]:
    """The alternatives of a type."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _branches(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in _UNIONS:
        return [part for item in typing.get_args(annotation) for part in _branches(item)]
    return [annotation]


_UNIONS = (typing.Union, type(int | str))


def _is_model(place: Any) -> bool:
    return isinstance(place, type) and issubclass(place, BaseModel)


def _keys(model: type[BaseModel] | None) -> list[str]:
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]
