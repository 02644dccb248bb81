"""``lprc clean``: remove what ``lprc build`` wrote."""

from __future__ import annotations

from pathlib import Path

import click

from lprc.cli import console
from lprc.cli.common import debug_option, json_option, quiet_option
from lprc.cli.project import open_project, project_options
from lprc.cli.say import say


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

    Folders that lprc did not write, or that hold other files too, are left alone. Without names
    also what builds wrote that are no longer in the file. What searches have tried stays, so that
    they need not search again, unless --studies is given.
    """
    from lprc.compiler.project.clean import clean
    from lprc.compiler.project.plan import choose
    from lprc.compiler.project.state import States

    opened = open_project(folder, project)
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
