"""Builds of ``lprc.toml`` that search for their artefact instead of naming a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from lprc.compiler.project.schema import BuildTable, File, SearchTable

_WITH_SEARCH = frozenset({"model", "search", "out", "calib", "data", "task", "seed"})
"""The keys of a build that say something to a search."""

_NOT_OF_MODEL = ("inputs", "input_shape", "dim")
"""The keys of a model that a search can't take."""


def refuse_contradictions(file: File, place: Callable[[Sequence[str]], str]) -> None:
    """Refuse builds that neither name a target nor search, do both, or search with other keys.

    Args:
        file: The project.
        place: Where the key is that a path leads to, for errors.

    Raises:
        UsageError: Naming the first.
    """
    for name, table in file.build.items():
        path = ["build", name]
        if table.search is None:
            if table.target is None:
                raise UsageError(
                    f"[build.{name}] has no 'target'",
                    where=place(path),
                    hint='name one, or let `search = {budget = "10min"}` choose it',
                )
            continue
        _refuse_beside_search(name, table, place)
        models = [table.model] if isinstance(table.model, str) else table.model
        for model in models:
            network = file.model[model]
            odd = next((key for key in _NOT_OF_MODEL if key in network.model_fields_set), None)
            if odd is not None:
                key = odd.replace("_", "-")
                raise UsageError(
                    f"[build.{name}] searches, and [model.{model}] has '{key}'",
                    where=place(["model", model, key]),
                    hint="a search runs on the model's own sizes: fix them in the file, or name "
                    "a target",
                )
            if not any(source.data for source in (table, network, file.project)):
                raise UsageError(
                    f"[build.{name}] has 'search' and no 'data' to judge by",
                    where=place([*path, "search"]),
                    hint="name labelled samples",
                )


def _refuse_beside_search(
    name: str, table: BuildTable, place: Callable[[Sequence[str]], str]
) -> None:
    """Refuse keys of a build that a search does not look at.

    Raises:
        UsageError: Naming the first.
    """
    odd = sorted(table.model_fields_set - _WITH_SEARCH)
    if not odd:
        return
    key = odd[0].replace("_", "-")
    inside = {"target": "targets", "max-accuracy-drop": "max-accuracy-drop"}.get(key)
    raise UsageError(
        f"[build.{name}] has both 'search' and '{key}'",
        where=place(["build", name, key]),
        hint=f"write {inside} = … inside of search" if inside else "leave one out",
    )


def search_arguments(
    search: SearchTable,
    model: str,
    *,
    out: Path,
    study: Path,
    data: str,
    calib: str | None,
    task: str | None,
    seed: int,
) -> list[str]:
    """The command line that searches, in the project's folder.

    Args:
        search: What is asked.
        model: The ONNX file.
        out: Where the artefact that is picked goes.
        study: The folder of what was tried.
        data: Labelled samples.
        calib: Samples to calibrate with, or None.
        task: Name or file of the task, or None.
        seed: Of what is tried.
    """
    arguments = ["search", model, "--data", data, "-o", str(out), "--pick", search.pick]
    arguments += ["--study", str(study), "--reuse"]
    for option, value in (
        ("--calib", calib),
        ("--task", task),
        ("--objective", ",".join(_listed(search.objective))),
        ("--max-accuracy-drop", search.max_accuracy_drop),
        ("--budget", search.budget),
        ("--trials", search.trials),
        ("--targets", ",".join(_listed(search.targets)) or None),
        ("--sampler", search.sampler),
        ("--threads", search.threads),
        ("--seed", seed),
    ):
        if value is not None:
            arguments += [option, str(value)]
    for file in _listed(search.space):
        arguments += ["--space", file]
    return arguments


def _listed(value: str | Sequence[str] | None) -> list[str]:
    """One or several, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else [*value]
