"""A page of what ``import lprc`` offers, from signatures and docstrings."""

from __future__ import annotations

import inspect

import lprc
from lprc.core.errors import LprcError, MachineError
from reference.markdown import code, fenced, table


def pages() -> dict[str, str]:
    """The page by its path."""
    public = {name: getattr(lprc, name) for name in lprc.__all__ if not name.startswith("_")}
    errors = {name: value for name, value in public.items() if _is_error(value)}
    sections = [
        _section(name, value) for name, value in sorted(public.items()) if name not in errors
    ]
    rows = [
        [code(name), str(value.exit_code), (inspect.getdoc(value) or "").partition("\n")[0]]
        for name, value in sorted(
            {**errors, "MachineError": MachineError}.items(), key=lambda row: row[1].exit_code
        )
    ]
    return {
        "reference/api.md": "# Python API\n\n[The guide](../api.md) has a whole example.\n\n"
        + "\n".join(sections)
        + "\n## Errors and their exit codes\n\n"
        + table(["class", "exit code", "when"], rows)
    }


def _section(name: str, value: object) -> str:
    documentation = fenced("text", inspect.getdoc(value) or "")
    return f"## `lprc.{name}`\n\n{_signature(name, value)}\n{documentation}"


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, LprcError)


def _signature(name: str, value: object) -> str:
    if not callable(value):
        return ""
    signature = inspect.signature(value)
    lines = "".join(f"    {parameter},\n" for parameter in signature.parameters.values())
    return fenced("python", f"lprc.{name}(\n{lines})")
