"""Compile the networks of a pipeline, each calibrated on what it will really see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lprc.compiler.frames.built import build_of, reads_crops, root_of, states_of
from lprc.compiler.frames.calibrate import make_crops
from lprc.compiler.frames.read_pipeline import FramePipeline
from lprc.compiler.project.plan import Build
from lprc.compiler.project.run_builds import Done, Runner


@dataclass(frozen=True)
class Step:
    """What became of one network.

    Attributes:
        name: The network.
        build: Its compile; None where it runs as it is.
        done: What the compile did; None where it was fresh.
        crops: How many crops were made for it; None for none.
    """

    name: str
    build: Build | None
    done: Done | None = None
    crops: int | None = None


def build_pipeline(
    pipeline: FramePipeline, around: Mapping[str, Any], *, force: bool = False
) -> Iterator[Step]:
    """Compile what is stale, network after network; stops behind one that fails.

    Args:
        pipeline: The file.
        around: What compiles depend on besides their inputs.
        force: Whether to compile what is fresh, too.

    Raises:
        LprcError: As of `make_crops`.
    """
    states = states_of(pipeline)
    runner = Runner(root_of(pipeline), states, around)
    for name in pipeline.file.order:
        build = build_of(pipeline, name)
        if build is None:
            yield Step(name, None)
            continue
        crops = make_crops(pipeline, name) if reads_crops(pipeline, name) else None
        why = "--force" if force else states.why_stale(build, around)
        if why is None:
            yield Step(name, build, None, crops)
            continue
        for done in runner.run([(build, why)], 1):
            yield Step(name, build, done, crops)
            if done.exit_code:
                return


def stale_networks(
    pipeline: FramePipeline, around: Mapping[str, Any]
) -> Iterator[tuple[str, Build, str | None]]:
    """Each network that is compiled, its build, and why it is stale; None where it is fresh."""
    states = states_of(pipeline)
    stale: list[str] = []
    for name in pipeline.file.order:
        build = build_of(pipeline, name)
        if build is None:
            continue
        why = states.why_stale(build, around)
        if why is None and stale and reads_crops(pipeline, name):
            why = f"'{stale[0]}' in front of it is built first"
        if why is not None:
            stale.append(name)
        yield name, build, why
