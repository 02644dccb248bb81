"""What an artefact says of its task: ``task.toml`` for lprc, ``deployment.json`` for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lprc.core.tasks.interface import Interface
from lprc.core.tasks.task import Task
from lprc.core.tasks.task_file import load_task, task_text

TASK = "task.toml"
DEPLOYMENT = "deployment.json"

SCHEMA = 1
"""The version of ``deployment.json``."""


def write_task(task: Task, interface: Interface, folder: Path) -> None:
    """Write both files.

    Args:
        task: Fitted to the artefact.
        interface: The lowered graph's.
        folder: The artefact's.
    """
    (folder / TASK).write_text(task_text(task), encoding="utf-8", newline="\n")
    text = json.dumps(deployment(task, interface), indent=2, ensure_ascii=False) + "\n"
    (folder / DEPLOYMENT).write_text(text, encoding="utf-8", newline="\n")


def read_task(folder: Path) -> Task | None:
    """The task that an artefact carries; None for none.

    The file may come from anybody, so it can't name a module to import.

    Raises:
        DataError: It is no task file, or one of a kind that is not installed.
    """
    path = folder / TASK
    return load_task(path, may_name_module=False) if path.is_file() else None


def deployment(task: Task, interface: Interface) -> dict[str, Any]:
    """What a program must know that feeds the artefact and reads what comes out, as JSON data."""
    settings = task.deployed(interface).settings.model_dump(exclude_none=True)
    inputs = [
        {
            "name": name,
            "dtype": str(interface.dtypes[name]),
            "shape": [-1 if size is None else size for size in shape],
        }
        for name, shape in interface.inputs.items()
    ]
    return {
        "schema": SCHEMA,
        "task": task.kind,
        "name": task.name,
        "inputs": inputs,
        "image": settings.get("input"),
        "outputs": list(interface.outputs),
        "output": settings.get("output"),
    }
