"""``lprc clean``: remove what ``lprc build`` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lprc.cli import console
from lprc.cli.common import debug_option, json_option, quiet_option
from lprc.cli.project import Opened, check_pipeline_files, open_project, project_options
from lprc.cli.say import say
from lprc.core.errors import UsageError


@click.command("clean")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option("--studies", is_flag=True, help="Remove what searches have tried, too.")
@project_options
@json_option
@quiet_option
@debug_option
def command(
    names: tuple[str, ...],
    studies: bool,
    folder: Path | None,
    project: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Remove the artefacts of lprc.toml's builds: all of them, or those named.

    A NAME that ends in .toml is a pipeline's file, whose models' artefacts and crops go.
    Folders that lprc did not write, or that hold other files too, are left alone. Without names
    also what builds wrote that are no longer in the file. What searches have tried stays, so that
    they need not search again, unless --studies is given.
    """
    if any(name.endswith(".toml") for name in names):
        if studies:
            raise UsageError("is for builds of lprc.toml", where="--studies")
        check_pipeline_files(names, folder, project)
        done = [_clean_pipeline(Path(name)) for name in names]
    else:
        done = [_clean_project(open_project(folder, project), names, studies=studies)]
    removed = [path for paths, _ in done for path in paths]
    left = [path for _, paths in done for path in paths]
    if as_json:
        console.print_json(
            {"removed": [str(path) for path in removed], "left": [str(path) for path in left]}
        )
        return
    for path in left:
        console.note(f"left alone: {path} is not what lprc wrote")
    if not quiet:
        for path in removed:
            say(f"removed {path}")


def _clean_project(
    opened: Opened, names: Sequence[str], *, studies: bool
) -> tuple[list[Path], list[Path]]:
    """What was removed, and what was left alone."""
    from lprc.compiler.frames.built import built_for_pipeline
    from lprc.compiler.frames.calibrate import remove_crops
    from lprc.compiler.project.clean import clean
    from lprc.compiler.project.plan import choose
    from lprc.compiler.project.state import States

    states = States(opened.root)
    chosen = choose(opened.builds, names, str(opened.file))
    places = {build.name: build.out for build in chosen}
    if not names:
        for name in states.names():
            state = states.read(name)
            if state is not None:
                places.setdefault(name, Path(state.out))
    removed, left = clean(opened.root, states, places)
    if studies:
        removed += states.remove_studies(chosen if names else None)
    networks = [place for name, place in places.items() if built_for_pipeline(name)]
    return [*removed, *remove_crops(opened.root, networks)], left


def _clean_pipeline(file: Path) -> tuple[list[Path], list[Path]]:
    from lprc.compiler.frames.built import build_of, root_of, states_of
    from lprc.compiler.frames.calibrate import remove_crops
    from lprc.compiler.frames.read_pipeline import read_pipeline
    from lprc.compiler.project.clean import clean

    pipeline = read_pipeline(file)
    builds = [build_of(pipeline, name) for name in pipeline.file.order]
    places = {build.name: build.out for build in builds if build is not None}
    removed, left = clean(root_of(pipeline), states_of(pipeline), places)
    removed += remove_crops(root_of(pipeline), places.values())
    return [file.parent / place for place in removed], [file.parent / place for place in left]
