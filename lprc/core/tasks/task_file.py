"""Tasks by name: a built-in file, a file of the user's, or a kind that is fitted to a model."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from lprc.core import registry
from lprc.core.builtin import TASK_FILES, TASKS
from lprc.core.errors import DataError, UsageError
from lprc.core.files.checked import checked
from lprc.core.files.toml_text import read_toml, toml_table
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.task import Task

GROUP = "lprc.tasks"


@dataclass(frozen=True)
class TaskChoice:
    """What a user said of the task: a whole one, its kind, or nothing.

    Attributes:
        task: A task from a file.
        kind: A kind, whose settings are guessed from the model.
    """

    task: Task | None = None
    kind: type[Task] | None = None

    def or_own(self, task: Task | None) -> TaskChoice:
        """This, or the task that an artefact carries where nothing was said."""
        return TaskChoice(task=task) if self == BY_MODEL and task is not None else self

    def resolve(self, interface: Interface) -> Task:
        """The task for a model.

        Raises:
            DataError: The model does not fit, or nothing was said and none of the built-in tasks
                is evidently the model's.
        """
        return self.chosen(interface).fitted(interface)

    def chosen(self, interface: Interface) -> Task:
        """The task before it is fitted to the model's input.

        Raises:
            DataError: As of `resolve`.
        """
        if self.task is not None:
            return self.task
        if self.kind is not None:
            table = self.kind.like(interface)
            return task_from_table({"task": self.kind.kind, **table}, self.kind.kind, "the guess")
        for task in builtin_tasks():
            if task.recognizes(interface):
                return task
        raise DataError(
            f"nothing tells what a model is for that has {interface}",
            where=interface.where,
            hint=f"--task names one of {', '.join(known_names())}, or a file of `lprc task new`",
        )

    def for_images(self, interface: Interface) -> Task:
        """As `resolve`, for images without labels: where nothing was said, by the input's size.

        Raises:
            DataError: As of `resolve`.
        """
        if self.task is None and self.kind is None:
            shape = interface.inputs[interface.image_input]
            for task in builtin_tasks():
                width, height = task.input.size
                if {shape[2], height} <= {None, height} and {shape[3], width} <= {None, width}:
                    return task.fitted(interface)
            raise DataError(
                f"has {interface}, and no built-in task has images of its size",
                where=interface.where,
                hint="--task names a file of `lprc task new`, which says how images are prepared",
            )
        return self.resolve(interface)


BY_MODEL = TaskChoice()
"""The user said nothing."""


def task_choice(name: str | None) -> TaskChoice:
    """What ``--task NAME|FILE`` says.

    Args:
        name: A built-in task, a kind of tasks, a ``module:Class``, or a TOML file; None for
            nothing.

    Raises:
        DataError: A file that can't be read, or holds something else.
        UsageError: No such name, or a third party's task that can't be loaded.
    """
    if name is None:
        return BY_MODEL
    if name in TASK_FILES:
        return TaskChoice(task=_builtin(name))
    if Path(name).suffix == ".toml":
        return TaskChoice(task=load_task(Path(name)))
    if ":" in name:
        return TaskChoice(kind=_checked_kind(registry.load_place(name, "--task"), name))
    if registry.is_known(name, TASKS, GROUP):
        return TaskChoice(kind=task_kind(name))
    names = known_names()
    close = difflib.get_close_matches(name, names, n=1)
    raise DataError(
        f"unknown task '{name}'",
        hint=f"did you mean '{close[0]}'?"
        if close
        else f"known: {', '.join(names)}, or a .toml file",
    )


def known_names() -> list[str]:
    """Built-in tasks, then kinds."""
    return [*TASK_FILES, *registry.names(TASKS, GROUP)]


def task_kind(name: str) -> type[Task]:
    """The kind of tasks called `name`.

    Raises:
        UsageError: There is none, or it can't be loaded.
    """
    return _checked_kind(registry.load("task", name, TASKS, GROUP), name)


def _checked_kind(loaded: object, name: str) -> type[Task]:
    if not (isinstance(loaded, type) and issubclass(loaded, Task)):
        raise UsageError(f"'{name}' is not a Task", where=f"entry point group {GROUP}")
    return loaded


def load_task(path: Path, *, may_name_module: bool = True) -> Task:
    """The task in a TOML file.

    Args:
        path: The file.
        may_name_module: Whether ``task = "module:Class"`` imports that module.

    Raises:
        DataError: It can't be read, is not TOML, or a key is missing, unknown or ill-typed.
        UsageError: Its kind is unknown.
    """
    try:
        text = read_toml(path)
    except (OSError, ValueError) as error:
        raise DataError(f"can't be read: {error}", where=str(path)) from error
    table = toml_table(text, where=str(path), error=DataError)
    return task_from_table(table, path.stem, str(path), may_name_module=may_name_module)


def parse_task(text: str, *, name: str, where: str) -> Task:
    """As `load_task`, from the file's text."""
    return task_from_table(toml_table(text, where=where, error=DataError), name, where)


def task_from_table(
    table: dict[str, Any], name: str, where: str, *, may_name_module: bool = True
) -> Task:
    """As `load_task`, from TOML data."""
    settings = dict(table)
    kind_name = settings.pop("task", OLDEST)
    if not isinstance(kind_name, str):
        raise DataError("must be a string", where=f"{where}: task")
    if ":" not in kind_name:
        kind = task_kind(kind_name)
    elif may_name_module:
        kind = _checked_kind(registry.load_place(kind_name, where), kind_name)
    else:
        raise DataError(
            f"names the module of its task, '{kind_name}', and is not trusted to import it",
            where=where,
            hint="--task names the task",
        )
    return kind(name, checked(kind.table, settings, where=where, error=DataError))


def task_text(task: Task) -> str:
    """A task as the text of a file that `load_task` reads."""
    import tomli_w

    settings = task.settings.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=True
    )
    return tomli_w.dumps({"task": _kind_name(type(task)), **settings})


def _kind_name(kind: type[Task]) -> str:
    """What ``task =`` says: the name, or ``module:Class`` for one that is not registered."""
    if registry.is_known(kind.kind, TASKS, GROUP):
        return kind.kind
    return f"{kind.__module__}:{kind.__qualname__}"


OLDEST = "plates"
"""The kind of files without ``task``: those of the first release."""


def builtin_tasks() -> Iterator[Task]:
    """The built-in tasks, in their table's order."""
    return map(_builtin, TASK_FILES)


@cache
def _builtin(name: str) -> Task:
    package, _, file = TASK_FILES[name].partition(":")
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    return parse_task(text, name=name, where=file)


def json_schema(kind: type[Task]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of files of a kind."""
    schema = kind.table.model_json_schema(by_alias=True)
    schema["properties"] = {"task": {"const": kind.kind}, **schema.get("properties", {})}
    schema["required"] = ["task", *schema.get("required", [])]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": f"lprc task file of kind {kind.kind}",
    }
