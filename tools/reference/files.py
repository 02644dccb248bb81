"""A page of the schemas of the files that lprc reads and writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lprc.compiler.artifact import manifest_schema
from lprc.compiler.frames import pipeline_file
from lprc.compiler.project import schema as project_schema
from lprc.core.builtin import TASKS
from lprc.core.tasks.task_file import json_schema as task_schema
from lprc.core.tasks.task_file import task_kind
from reference.markdown import code, fenced, folded, plain, table


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas by the titles of their sections."""
    return {
        "lprc.toml": project_schema.json_schema(),
        "pipeline.toml": pipeline_file.json_schema(),
        "manifest.json": manifest_schema.json_schema(),
        **{f"task.toml, {kind}": task_schema(task_kind(kind)) for kind in TASKS},
    }


def pages() -> dict[str, str]:
    """The page by its path."""
    sections = "\n".join(_section(title, schema) for title, schema in schemas().items())
    return {
        "reference/files.md": "# Files and their schemas\n\n"
        "`lprc schema`, `lprc pipeline schema` and `lprc task schema KIND` print the schemas for "
        "editors. An unknown key is an error.\n\n" + sections
    }


def _section(title: str, schema: Mapping[str, Any]) -> str:
    tables = [f"## {title}\n\n{_keys(schema)}"]
    for name, part in schema.get("$defs", {}).items():
        if part.get("properties"):
            tables.append(f"**{name}**: {plain(_first_line(part))}\n\n{_keys(part)}")
    whole = fenced("json", json.dumps(schema, indent=2, ensure_ascii=False))
    return "\n".join([*tables, folded("The whole schema", whole)])


def _first_line(part: Mapping[str, Any]) -> str:
    return str(part.get("description", "")).partition("\n")[0]


def _keys(part: Mapping[str, Any]) -> str:
    required = part.get("required", ())
    rows = [
        [
            code(key),
            code(_type(value)),
            "required" if key in required else code(_default(value)),
            plain(value.get("description", "")),
        ]
        for key, value in part.get("properties", {}).items()
    ]
    return table(["key", "type", "default", "what it means"], rows)


def _default(value: Mapping[str, Any]) -> str:
    return json.dumps(value["default"], ensure_ascii=False) if "default" in value else ""


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    if "anyOf" in value:
        return " or ".join(map(_type, value["anyOf"]))
    if "enum" in value or "const" in value:
        return " or ".join(json.dumps(choice) for choice in value.get("enum", [value.get("const")]))
    kind = str(value.get("type", "any"))
    below = value.get("items", value.get("additionalProperties"))
    return f"{kind} of {_type(below)}" if isinstance(below, dict) and below else kind
