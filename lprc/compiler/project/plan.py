"""From ``lprc.toml`` to one compile for each model and target."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from lprc.compiler.project.searches import search_arguments
from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from lprc.compiler.project.schema import BuildTable, File, ModelTable, ProjectTable


FOLDER = ".lprc"
"""Beside ``lprc.toml``: a file for each build, and a folder for each that searches."""

STUDY_SUFFIX = ".search"


@dataclass(frozen=True)
class Build:
    """One artefact to be.

    Attributes:
        name: The table's name; of several models or targets, with ``.MODEL`` and ``.TARGET``.
        model: The ONNX file, relative to the project like all paths here.
        target: What for; None where a search chooses it.
        out: The artefact's folder.
        calib: Images or arrays, or None.
        inputs: Arrays to verify with, or None.
        data: Labelled samples, or None.
        task: Name or file of the task, or None.
        arguments: Of ``lprc compile`` or ``lprc search``, without what it prints.
        study: The folder of what a search has tried; None where there is none.
    """

    name: str
    model: Path
    target: str | None
    out: Path
    calib: Path | None
    inputs: Path | None
    data: Path | None
    task: str | None
    arguments: tuple[str, ...]
    study: Path | None = None


def plan(file: File, where: str) -> list[Build]:
    """All builds of a project, in the order of the file.

    Raises:
        UsageError: Two have the same output folder, or a demand has no data to be judged on.
    """
    builds: list[Build] = []
    for name, table in file.build.items():
        models = [table.model] if isinstance(table.model, str) else list(dict.fromkeys(table.model))
        targets: list[str | None] = (
            [*dict.fromkeys(table.target)] if isinstance(table.target, list) else [table.target]
        )
        for model in models:
            for target in targets:
                axes = [] if isinstance(table.model, str) else [model]
                axes += [str(target)] if isinstance(table.target, list) else []
                builds.append(_build(file, (name, *axes), model, target, where))
    _refuse_shared_folders(builds, where)
    return builds


def choose(builds: Sequence[Build], wanted: Iterable[str], where: str) -> list[Build]:
    """Those with the wanted names: ``all`` stands for ``all.MODEL.TARGET`` too, ``*`` for any.

    Raises:
        UsageError: Nothing has one of the names.
    """
    patterns = list(wanted)
    for pattern in patterns:
        if not any(_matches(build.name, pattern) for build in builds):
            names = [build.name for build in builds]
            close = difflib.get_close_matches(pattern, names, n=1)
            guess = f"did you mean '{close[0]}'? " if close else ""
            raise UsageError(
                f"no build '{pattern}'",
                where=where,
                hint=f"{guess}known: {', '.join(names) or 'none'}",
            )
    if not patterns:
        return list(builds)
    return [
        candidate
        for candidate in builds
        if any(_matches(candidate.name, pattern) for pattern in patterns)
    ]


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def _build(file: File, parts: tuple[str, ...], model: str, target: str | None, where: str) -> Build:
    table, network, project = file.build[parts[0]], file.model[model], file.project
    base = Path(table.out) if table.out is not None else Path(project.out, parts[0])
    out = base.joinpath(*parts[1:])
    calib, data, task = (
        _first(name, table, network, project) for name in ("calib", "data", "task")
    )
    inputs = table.inputs or network.inputs
    name = ".".join(parts)
    if table.min_accuracy is not None and data is None:
        raise UsageError(
            f"build '{name}' has 'min-accuracy' and no 'data' to measure it on", where=where
        )
    seed = project.seed if table.seed is None else table.seed
    study = None
    if table.search is None:
        given = (
            ("--calib", calib),
            ("--inputs", inputs),
            ("--data", data),
            ("--task", task),
            ("--verify", table.verify or project.verify),
            ("--seed", seed),
        )
        arguments = ["compile", network.file, "--target", str(target), "-o", str(out)]
        arguments += _compile_options(table, network, given)
    else:
        assert data is not None  # `refuse_contradictions` has seen to that
        study = Path(FOLDER, f"{name}{STUDY_SUFFIX}")
        arguments = search_arguments(
            table.search,
            network.file,
            out=out,
            study=study,
            data=data,
            calib=calib,
            task=task,
            seed=seed,
        )
    return Build(
        name,
        Path(network.file),
        target,
        out,
        Path(calib) if calib is not None else None,
        Path(inputs) if inputs is not None else None,
        Path(data) if data is not None else None,
        task,
        tuple(arguments),
        study,
    )


def _compile_options(
    table: BuildTable, network: ModelTable, given: Sequence[tuple[str, object]]
) -> list[str]:
    """The options of a compile that a table asks for, and those `given`."""
    arguments: list[str] = []
    for option, value in (
        *given,
        ("--embed", ",".join(table.embed) or None),
        ("--source-color", table.source_color),
        ("--passes", table.passes),
        ("--then", table.then),
        ("--emit", table.emit),
        ("--quantized", table.quantized),
        ("--max-accuracy-drop", table.max_accuracy_drop),
        ("--min-accuracy", table.min_accuracy),
    ):
        if value is not None:
            arguments += [option, str(value)]
    for key, values in table.options.items():
        texts = values if isinstance(values, list) else [values]
        arguments += ["-O", f"{key}={','.join(map(_text, texts))}"]
    arguments += _sizes(network, table)
    return [*arguments, "--guard"] if table.guard else arguments


def _sizes(network: ModelTable, table: BuildTable) -> list[str]:
    """Options with the sizes of a model's inputs; the build's own win."""
    shapes = {**network.input_shape, **table.input_shape}
    arguments: list[str] = []
    for name, shape in shapes.items():
        sizes = ",".join("?" if size == -1 else str(size) for size in shape)
        arguments += ["--input-shape", f"{name}:{sizes}"]
    for name, size in {**network.dim, **table.dim}.items():
        arguments += ["--dim", f"{name}={size}"]
    return arguments


def _first(name: str, table: BuildTable, network: ModelTable, project: ProjectTable) -> str | None:
    """A key of the build, else of its model, else of the project."""
    for each in (table, network, project):
        value: str | None = getattr(each, name)
        if value is not None:
            return value
    return None


def _text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _refuse_shared_folders(builds: Sequence[Build], where: str) -> None:
    taken: dict[Path, str] = {}
    for build in builds:
        other = taken.setdefault(build.out, build.name)
        if other != build.name:
            raise UsageError(
                f"builds '{other}' and '{build.name}' have the same output '{build.out}'",
                where=where,
            )
