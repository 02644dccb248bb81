"""``lprc build PIPELINE.toml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc.cli import console
from lprc.cli.build_rows import built_row, planned_row
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.compiler.frames.build import Step
    from lprc.compiler.frames.read_pipeline import FramePipeline


def build_pipelines(
    files: Sequence[str], *, dry_run: bool, force: bool, as_json: bool, quiet: bool
) -> int:
    """Compile the networks of pipeline files; the code of the first compile that failed."""
    from lprc.compiler.cache.location import store_in_use
    from lprc.compiler.cache.surroundings import surroundings
    from lprc.compiler.frames.read_pipeline import read_pipeline

    pipelines = [read_pipeline(Path(file)) for file in files]
    store = store_in_use()
    around = surroundings(store, sdks=True)
    rows: list[dict[str, Any]] = []
    code = 0
    show = not quiet and not as_json
    for pipeline in pipelines:
        if dry_run:
            rows += _planned(pipeline, around, show=show)
        else:
            failed = _build(pipeline, around, rows, force=force, show=show)
            code = code or failed
    if store is not None:
        store.close()
    if as_json:
        console.print_json({"builds": rows})
    return code


def _planned(
    pipeline: FramePipeline, around: dict[str, Any], *, show: bool
) -> list[dict[str, Any]]:
    """What would be built, and why."""
    from lprc.compiler.frames.build import stale_networks

    rows = []
    for name, build, why in stale_networks(pipeline, around):
        rows.append(planned_row(build, why))
        if show:
            say(f"{name}: {'fresh' if why is None else f'stale: {why}'}")
    return rows


def _build(
    pipeline: FramePipeline,
    around: dict[str, Any],
    rows: list[dict[str, Any]],
    *,
    force: bool,
    show: bool,
) -> int:
    from lprc.compiler.frames.build import build_pipeline

    for step in build_pipeline(pipeline, around, force=force):
        _say(step, show=show)
        if step.build is None:
            continue
        rows.append({**built_row(step.build, step.done), "crops": step.crops})
        if step.done is not None and step.done.exit_code:
            return step.done.exit_code
    return 0


def _say(step: Step, *, show: bool) -> None:
    done = step.done
    if done is not None:
        for line in done.messages.splitlines():
            say(f"{step.name}: {line}", err=True)
        if done.exit_code:
            say(f"{step.name}: failed ({done.exit_code}); {done.why}", err=True)
            return
    if not show:
        return
    if step.crops is not None:
        say(f"{step.name}: calibrated on {step.crops} crops")
    if step.build is None:
        say(f"{step.name}: runs as it is")
    elif done is None:
        say(f"{step.name}: fresh")
    else:
        say(f"{step.name}: built in {done.seconds:.1f} s: {done.build.out}; {done.why}")
