"""What ``lprc build`` tells of a build, as JSON data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lprc.compiler.project.plan import Build
    from lprc.compiler.project.run_builds import Done


def planned_row(build: Build, why: str | None) -> dict[str, Any]:
    """Whether it would be built, and why; None for one that is fresh."""
    return {**_named(build), "status": "fresh" if why is None else "stale", "why": why}


def built_row(build: Build, done: Done | None) -> dict[str, Any]:
    """What became of it; None for one that was fresh."""
    if done is None:
        return {**_named(build), "status": "fresh"}
    return {
        **_named(build),
        "status": "failed" if done.exit_code else "built",
        "why": done.why,
        "exit_code": done.exit_code,
        "cached": bool(done.document.get("cached")),
        "accuracy": done.accuracy,
        **({"search": done.trial} if build.study is not None else {}),
        "seconds": done.seconds,
    }


def _named(build: Build) -> dict[str, Any]:
    return {"name": build.name, "target": build.target, "output": str(build.out)}
