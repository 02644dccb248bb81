"""Write a bundle: a folder that appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lprc._version import __version__
from lprc.compiler.bundle import deepstream, dlstreamer
from lprc.compiler.bundle.compiled import Family, Told, compiled_stages
from lprc.compiler.bundle.nvinfer_config import notes as nvinfer_notes
from lprc.compiler.bundle.stages import Stage
from lprc.compiler.frames.read_pipeline import FramePipeline, read_pipeline
from lprc.core.files.atomic import atomic_folder
from lprc.core.files.digest import sha256

Framework = Literal["deepstream", "openvino-dlstreamer"]

FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)

LIST = "bundle.json"
"""What a bundle holds: every file with its SHA-256."""

Files = Callable[[Sequence[Stage], int, tuple[int, int]], Mapping[str, str]]


@dataclass(frozen=True)
class Bundled:
    """What was written.

    Attributes:
        folder: The bundle.
        files: The paths in it, sorted.
        notes: What the framework does in another way than lprc, one line each.
    """

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


_WRITERS: Mapping[Framework, tuple[Family, Files, Callable[[Stage], Sequence[str]]]] = {
    "deepstream": (deepstream.FAMILY, deepstream.files, nvinfer_notes),
    "openvino-dlstreamer": (dlstreamer.FAMILY, dlstreamer.files, dlstreamer.notes),
}


def bundle(
    path: Path,
    framework: Framework,
    out: Path,
    *,
    streams: int = 1,
    frame: tuple[int, int] = (1920, 1080),
    told: Told = lambda _: None,
) -> Bundled:
    """Compile a pipeline's models and write what the framework needs to run them.

    Args:
        path: A ``pipeline.toml``.
        framework: Which.
        out: The folder for the bundle; an earlier bundle there is replaced.
        streams: How many videos run at once.
        frame: Width and height that frames are brought to.
        told: Called with the name of the model that is compiled now.

    Raises:
        DataError: The pipeline says what the framework can't do.
        OutputError: The folder can't be written, or holds what lprc did not write.
        LprcError: As of `lprc.compile`.
    """
    pipeline = read_pipeline(path)
    family, files, notes = _WRITERS[framework]
    with atomic_folder(out, may_replace=is_bundle) as folder:
        models = folder / "models"
        models.mkdir()
        stages = compiled_stages(pipeline, family, models, streams, told)
        for name, text in files(stages, streams, frame).items():
            _write(folder / name, text)
        written = _listed(folder)
        _write(folder / LIST, _document(pipeline, framework, folder, written))
    lines = tuple(line for stage in stages for line in notes(stage))
    return Bundled(out, (*written, LIST), lines)


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a bundle and holds nothing else, which would be lost."""
    try:
        document = json.loads((folder / LIST).read_text(encoding="utf-8"))
        listed = {*document["files"], LIST}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return set(_listed(folder)) <= listed


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    if path.suffix == ".sh":
        path.chmod(0o755)


def _listed(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _document(
    pipeline: FramePipeline, framework: Framework, folder: Path, names: Sequence[str]
) -> str:
    document = {
        "schema": 1,
        "lprc": __version__,
        "for": framework,
        "pipeline": {"name": pipeline.name, "sha256": sha256(pipeline.path)},
        "files": {name: sha256(folder / name) for name in names},
    }
    return json.dumps(document, indent=2) + "\n"
