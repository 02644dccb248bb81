"""``manifest.json``: where an artefact came from, what was done, and how it was checked."""

from __future__ import annotations

import json
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lprc import __version__
from lprc.compiler.optimize import Optimized
from lprc.core.digest import sha256
from lprc.core.emission import Emitted, TargetOptions
from lprc.core.errors import InvalidModelError
from lprc.core.manager import PassRecord
from lprc.core.numerics import OutputDelta
from lprc.core.options import option_texts
from lprc.core.target import Target

SCHEMA = 2
FILE = "manifest.json"
_TOOLS = ("onnx", "onnx-ir", "onnxruntime", "openvino", "tensorrt-rtx", "tensorrt", "numpy")


def manifest(
    source: Path,
    target: Target,
    optimized: Optimized,
    folder: Path,
    deltas: list[OutputDelta],
    options: TargetOptions,
    emitted: Emitted,
) -> dict[str, Any]:
    """Describe an artefact. Without times and paths, so the same build gives the same bytes.

    Args:
        source: The model it was made from.
        target: What for.
        optimized: What the passes did.
        folder: Where the artefact is, and nothing else.
        deltas: How far the artefact's outputs are from the lowered graph's.
        options: The target's options.
        emitted: What the emitter says of it.
    """
    return {
        "schema": SCHEMA,
        "lprc": __version__,
        "target": target.name,
        "runtime": target.runtime,
        "options": {key: list(texts) for key, texts in sorted(option_texts(options).items())},
        "precision": target.precision,
        "source": {"name": source.name, "sha256": sha256(source), "bytes": source.stat().st_size},
        "pipeline": optimized.pipeline,
        "passes": passes_document(optimized),
        "artefact": [delta_document(delta) for delta in deltas],
        "emitter": emitted.report,
        "warnings": [*optimized.warnings, *emitted.warnings],
        "tools": {name: found for name in _TOOLS if (found := _version(name)) is not None},
        "deployed": [path.name for path in emitted.files],
        "files": {
            path.name: {"sha256": sha256(path), "bytes": path.stat().st_size}
            for path in sorted(folder.iterdir())
        },
    }


def passes_document(optimized: Optimized) -> list[dict[str, Any]]:
    """What each pass did, as JSON data."""
    return [
        {
            "pass": record.text,
            "contract": str(record.contract),
            "rewrites": len(record.rewrites),
            "skips": skip_counts(record),
            "outputs": [delta_document(each) for each in optimized.deltas.get(record.position, [])],
        }
        for record in optimized.records
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


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read an artefact's manifest.

    Raises:
        InvalidModelError: There is none, or it is not one that this version understands.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidModelError(
            f"not an artefact: no {FILE} in it",
            where=str(folder),
            hint="name a folder that `lprc compile` wrote, or a model file",
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidModelError(f"can't be read: {error}", where=str(path)) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InvalidModelError(f"not a manifest of schema {SCHEMA}", where=str(path))
    return document


def is_artefact(folder: Path) -> bool:
    """Whether `folder` is one that lprc wrote and holds nothing else, which would be lost too."""
    try:
        document = read_manifest(folder)
    except InvalidModelError:
        return False
    files = document.get("files")
    known = {FILE, *files} if "lprc" in document and isinstance(files, dict) else set()
    return known.issuperset(path.name for path in folder.iterdir())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
