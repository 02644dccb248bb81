"""Checks JSON data by the part of JSON Schema (draft 2020-12) that our own schemas use.

Reading an artefact must not need a package that only validates; tests hold this beside the
`jsonschema` package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

KEYWORDS = frozenset(
    (
        "$defs", "$id", "$ref", "$schema", "additionalProperties", "const", "description", "enum",
        "items", "maxItems", "maxLength", "minimum", "pattern", "properties", "propertyNames",
        "required", "title", "type",
    )
)  # fmt: skip
"""What is understood; of these, the texts and ``$defs`` say nothing of data."""

_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def problem(data: Any, schema: Mapping[str, Any]) -> str | None:
    """The first thing wrong with `data`, for instance ``files.a.sha256: must be a string``.

    None where it obeys `schema`. Data must not be nested deeper than the schema, so that
    recursion is bounded.
    """
    return next(_problems(data, schema, schema, ()), None)


def _problems(
    data: Any, schema: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[str]:
    schema = _resolved(schema, root)
    complaint = _complaint(data, schema)
    if complaint is not None:
        yield f"{'.'.join(path) or 'it'}: {complaint}"
    elif isinstance(data, dict):
        yield from _in_object(data, schema, root, path)
    elif isinstance(data, list) and "items" in schema:
        for index, item in enumerate(data):
            yield from _problems(item, schema["items"], root, (*path, str(index)))


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return found


def _complaint(data: Any, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with the value itself."""
    wanted = schema.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    if names and not any(_is(data, name) for name in names):
        return f"must be of type {' or '.join(names)}"
    if "const" in schema and data != schema["const"]:
        return f"must be {schema['const']!r}"
    if "enum" in schema and data not in schema["enum"]:
        return f"must be one of {', '.join(map(repr, schema['enum']))}"
    if isinstance(data, str):
        if "pattern" in schema and re.search(schema["pattern"], data) is None:
            return f"{data[:80]!r} is not {schema.get('title') or 'as ' + schema['pattern']}"
        if len(data) > schema.get("maxLength", len(data)):
            return f"is longer than {schema['maxLength']} characters"
    if isinstance(data, (int, float)) and data < schema.get("minimum", data):
        return f"must be at least {schema['minimum']}"
    if isinstance(data, list) and len(data) > schema.get("maxItems", len(data)):
        return f"has more than {schema['maxItems']} items"
    return None


def _is(data: Any, name: str) -> bool:
    if isinstance(data, bool):  # which Python takes for an int
        return name == "boolean"
    if name == "integer" and isinstance(data, float):  # 1.0 is a whole number in JSON
        return data.is_integer()
    return isinstance(data, _TYPES[name])


def _in_object(
    data: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[str]:
    place = ".".join(path) or "it"
    for key in schema.get("required", ()):
        if key not in data:
            yield f"{place}: '{key}' is missing"
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties", True)
    for key, value in data.items():
        if "propertyNames" in schema:
            found = _complaint(key, _resolved(schema["propertyNames"], root))
            if found is not None:
                yield f"{place}: the name {found}"
        if key in known:
            yield from _problems(value, known[key], root, (*path, key))
        elif rest is False:
            yield f"{place}: '{key[:80]}' is unknown"
        elif rest is not True:
            yield from _problems(value, rest, root, (*path, key))
