"""An artefact as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lprc.compiler.artifact.artifact import Artifact


def artifact_html(artifact: Artifact) -> str:
    """A table of what it is. Names and texts come from other people's files: all is escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(key)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for key, value in _rows(artifact)
    )
    return f"<table><caption>lprc artefact {escape(str(artifact.path))}</caption>{rows}</table>"


def _rows(artifact: Artifact) -> Iterator[tuple[str, str]]:
    manifest = artifact.manifest
    yield "runtime", artifact.backend
    for file in artifact.files:
        yield "file", f"{file.name}, {file.stat().st_size} bytes"
    if manifest is None:
        return
    yield "target", f"{manifest['target']} ({manifest['precision']})"
    yield "source", f"{manifest['source']['name']} {manifest['source']['sha256'][:12]}"
    for name, metric in manifest["metrics"].items():
        yield name, f"{metric['value']:.4f}"
    for delta in manifest["artefact"]:
        distance = delta.get("mismatch") or f"within {delta.get('max_abs', 0.0):.2g}"
        yield f"output {delta['output']}", f"{distance} of the lowered graph"
    yield "pipeline", manifest["pipeline"]
    for warning in manifest["warnings"]:
        yield "warning", warning
