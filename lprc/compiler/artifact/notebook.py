"""An artefact as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lprc.core.notebook import html_table

if TYPE_CHECKING:
    from lprc.compiler.artifact.artifact import Artifact


def artifact_html(artifact: Artifact) -> str:
    """A table of what it is."""
    return html_table(f"lprc artefact {artifact.path}", (), _rows(artifact))


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
