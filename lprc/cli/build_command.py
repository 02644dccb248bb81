"""``lprc build``: what lprc.toml asks for and what is stale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lprc.cli.build_rows import built_row, planned_row
from lprc.cli.common import debug_option, json_option, quiet_option
from lprc.cli.project import check_pipeline_files, open_project, project_options
from lprc.cli.say import say
from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from lprc.compiler.project.plan import Build
    from lprc.compiler.project.run_builds import Done, Runner
    from lprc.compiler.project.state import States


@click.command("build")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    help="At a time.  [default: 1, or as many as there are workers]",
)
@click.option("--scheduler", metavar="tcp://…", help="Build on the workers of a Dask cluster.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, and why.")
@click.option("--force", is_flag=True, help="Build what is fresh, too.")
@project_options
@json_option
@quiet_option
@debug_option
def command(
    names: tuple[str, ...],
    jobs: int | None,
    scheduler: str | None,
    dry_run: bool,
    force: bool,
    folder: Path | None,
    project: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Build those of lprc.toml's builds that are stale; all of them, or those named.

    A NAME that ends in .toml is a pipeline's file, whose models are built.

    Exits with the code of the first build, in the order of the file, that failed.
    """
    if any(name.endswith(".toml") for name in names):
        from lprc.cli.build_pipelines import build_pipelines

        if scheduler is not None:
            raise UsageError("is for builds of lprc.toml", where="--scheduler")
        check_pipeline_files(names, folder, project)
        return build_pipelines(names, dry_run=dry_run, force=force, as_json=as_json, quiet=quiet)
    from lprc.compiler.cache.location import store_in_use
    from lprc.compiler.cache.surroundings import surroundings
    from lprc.compiler.project.plan import choose
    from lprc.compiler.project.state import States

    opened = open_project(folder, project)
    chosen = choose(opened.builds, names, str(opened.file))
    states = States(opened.root)
    store = store_in_use()
    around = surroundings(store, sdks=True)
    stale = [
        (build, why)
        for build in chosen
        if (why := "--force" if force else states.why_stale(build, around)) is not None
    ]
    if dry_run:
        return _report(chosen, {build.name: why for build, why in stale}, as_json, quiet)
    done: dict[str, Done] = {}
    if stale:
        show = not quiet and not as_json
        with _runner(opened.root, states, around, scheduler, stale) as runner:
            for finished in runner.run(stale, jobs or runner.workers):
                done[finished.build.name] = finished
                _say(finished, show=show)
    if store is not None:
        store.close()
    if as_json:
        _print_document(chosen, done)
    elif not quiet and not stale:
        say(f"{len(chosen)} of {len(chosen)} fresh")
    return next((done[b.name].exit_code for b, _ in stale if done[b.name].exit_code), 0)


@contextmanager
def _runner(
    root: Path,
    states: States,
    around: dict[str, Any],
    scheduler: str | None,
    stale: Sequence[tuple[Build, str]],
) -> Iterator[Runner]:
    """Who compiles: processes of this machine, or the workers of a cluster."""
    if scheduler is None:
        from lprc.compiler.project.run_builds import Runner

        yield Runner(root, states, around)
        return
    from lprc.compiler.project.cluster_builds import ClusterRunner

    runner = ClusterRunner(root, states, around, scheduler, [build for build, _ in stale])
    try:
        yield runner
    finally:
        runner.close()


def _report(chosen: Sequence[Build], stale: dict[str, str], as_json: bool, quiet: bool) -> int:
    """What would be built, and why."""
    from lprc.cli import console

    if as_json:
        rows = [planned_row(build, stale.get(build.name)) for build in chosen]
        console.print_json({"builds": rows})
    elif not quiet:
        for build in chosen:
            why = stale.get(build.name)
            say(f"{build.name}: {'fresh' if why is None else f'stale: {why}'}")
    return 0


def _say(done: Done, *, show: bool) -> None:
    """One build at a time, so that nothing is interleaved."""
    for line in done.messages.splitlines():
        say(f"{done.build.name}: {line}", err=True)
    if done.exit_code:
        say(f"{done.build.name}: failed ({done.exit_code}); {done.why}", err=True)
    elif show:
        accuracy = "" if done.accuracy is None else f", accuracy {done.accuracy:.4f}"
        cached = " from the cache" if done.document.get("cached") else ""
        seconds = f"{done.seconds:.1f} s"
        say(
            f"{done.build.name}: built{cached} in {seconds}: {done.build.out}{accuracy}; {done.why}"
        )


def _print_document(chosen: Sequence[Build], done: dict[str, Done]) -> None:
    from lprc.cli import console

    rows = [built_row(build, done.get(build.name)) for build in chosen]
    console.print_json({"builds": rows})
