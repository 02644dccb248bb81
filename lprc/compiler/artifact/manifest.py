"""``manifest.json``: where an artefact came from, what was done, and how it was checked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc._version import __version__
from lprc.compiler.artifact.manifest_file import FILE, SCHEMA, is_artefact, read_manifest
from lprc.core.files.digest import document_sha256, file_document
from lprc.core.options import option_texts
from lprc.core.process.installed import installed_versions
from lprc.core.targets.runtimes import runtime as runtime_called

if TYPE_CHECKING:  # whether a folder is an artefact is asked where nothing heavy is imported
    from lprc.compiler.artifact.build_inputs import BuildInputs
    from lprc.core.passing.manager import PassRecord
    from lprc.core.passing.pipeline import Pipeline
    from lprc.core.running.numerics import OutputDelta
    from lprc.core.targets.emitter import Emitted, TargetOptions
    from lprc.core.targets.target import Target

__all__ = ["FILE", "SCHEMA", "is_artefact", "manifest", "read_manifest", "write_manifest"]

_TOOLS = ("numpy", "onnx", "onnx-ir", "onnxruntime")


def manifest(
    inputs: BuildInputs,
    target: Target,
    options: TargetOptions,
    pipeline: Pipeline,
    *,
    passes: list[dict[str, Any]],
    emitted: Emitted,
    deltas: list[OutputDelta],
    warnings: list[str],
    folder: Path,
) -> dict[str, Any]:
    """Describe an artefact. Without times and paths, so the same build gives the same bytes.

    Args:
        inputs: What it was made from.
        target: What for.
        options: The target's options.
        pipeline: The passes that were run.
        passes: What each of them did, as of `passes_document`.
        emitted: What the emitter says of it.
        deltas: How far the artefact's outputs are from the lowered graph's.
        warnings: What could not be verified, measured or run.
        folder: Where the artefact is, and nothing else.
    """
    asked = {
        "target": target.name,
        "options": {key: list(texts) for key, texts in sorted(option_texts(options).items())},
        "pipeline": str(pipeline),
        "build": inputs.build,
    }
    return {
        "schema": SCHEMA,
        "lprc": __version__,
        "target": target.name,
        "runtime": target.runtime,
        "platform": _platform(target, emitted),
        "options": asked["options"],
        "precision": target.precision,
        "source": inputs.source,
        "calibration": inputs.calibration,
        "build": inputs.build,
        "config_sha256": document_sha256(asked),
        "pipeline": asked["pipeline"],
        "passes": passes,
        "artefact": [delta_document(delta) for delta in deltas],
        "metrics": {},
        "emitter": emitted.report,
        "warnings": warnings,
        "tools": tool_versions(target.runtime, pipeline, str(inputs.build["emit"])),
        "deployed": [path.name for path in emitted.files],
        "files": {path.name: file_document(path) for path in sorted(folder.iterdir())},
    }


def _platform(target: Target, emitted: Emitted) -> dict[str, Any]:
    """What the artefact was compiled for, as far as its emitter says."""
    triple, capabilities = (emitted.report.get(key) for key in ("target", "compute_capabilities"))
    return {
        "device": runtime_called(target.runtime).device,
        "triple": triple if isinstance(triple, str) else None,
        "compute_capabilities": [str(capability) for capability in capabilities or ()],
    }


def tool_versions(runtime: str, pipeline: Pipeline, emit: str) -> dict[str, str]:
    """The versions of the packages that take part in a build, and of no other.

    Args:
        runtime: The target's.
        pipeline: The passes, which name the packages that they need (`Pass.packages`).
        emit: How far the build goes.
    """
    packages = {*_TOOLS, *(runtime_called(runtime).packages if emit == "engine" else ())}
    packages.update(package for item in pipeline.passes for package in item.packages)
    return installed_versions(sorted(packages))


def passes_document(
    records: Sequence[PassRecord], deltas: Mapping[int, Sequence[OutputDelta]]
) -> list[dict[str, Any]]:
    """What each pass did, as JSON data.

    Args:
        records: One a pass.
        deltas: How far outputs moved, by the position of the pass after which they were compared.
    """
    return [
        {
            "pass": record.text,
            "contract": str(record.contract),
            "rewrites": len(record.rewrites),
            "skips": skip_counts(record),
            "outputs": [delta_document(delta) for delta in deltas.get(record.position, ())],
        }
        for record in records
    ]


def skip_counts(record: PassRecord) -> dict[str, int]:
    """How often the pass left something alone, by reason."""
    counts = Counter(skip.reason for skip in record.skips)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def delta_document(delta: OutputDelta) -> dict[str, Any]:
    """One output's difference as JSON data."""
    if delta.mismatch is not None:
        return {"output": delta.name, "mismatch": delta.mismatch}
    return {
        "output": delta.name,
        "max_abs": delta.max_abs,
        "mean_abs": delta.mean_abs,
        "magnitude": delta.magnitude,
    }


def write_manifest(document: dict[str, Any], folder: Path) -> None:
    """Write it into the artefact's folder."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
