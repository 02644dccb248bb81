"""What a further network really sees: crops that the compiled ones in front of it make."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lprc.compiler.cache.input_files import calibration_files
from lprc.compiler.frames.built import crops_beside, crops_folder, place_of, root_of
from lprc.compiler.frames.execute import answered, pieces
from lprc.compiler.frames.opened import Networks, opened
from lprc.compiler.frames.read_pipeline import FramePipeline
from lprc.compiler.frames.sources import picture_frames
from lprc.compiler.project.state import status_of
from lprc.core.errors import DataError
from lprc.core.files.atomic import atomic_folder
from lprc.core.files.digest import sha256
from lprc.core.files.removal import remove_folder

RECORD = "crops.json"
"""In a folder of crops: what they were made from."""


def make_crops(pipeline: FramePipeline, name: str) -> int | None:
    """Write the crops that a network is calibrated on, where they are not there yet.

    Args:
        pipeline: Its first model has images to calibrate with.
        name: The network; those in front of it are built.

    Returns:
        How many there are; None where they were there.

    Raises:
        DataError: Images that can't be read, or nothing is found in any of them.
        LprcError: The networks in front can't be run.
    """
    folder = root_of(pipeline) / crops_folder(pipeline, name)
    recorded = _record(folder)
    origin = _origin(pipeline, name, recorded.get("files", {}))
    if _contents(recorded) == _contents(origin):
        return None
    places = {item: place_of(pipeline, item) for item in _ancestors(pipeline, name)}
    networks = opened(pipeline, places)
    with atomic_folder(folder, may_replace=_is_ours) as temporary:
        count = save_crops(Path(origin["images"]), networks, name, temporary)
        text = json.dumps(origin, ensure_ascii=False, indent=1) + "\n"
        (temporary / RECORD).write_text(text, encoding="utf-8", newline="\n")
    return count


def save_crops(images: Path, networks: Networks, name: str, folder: Path) -> int:
    """Write what a network reads of images; how many crops those are.

    Args:
        images: The folder of images.
        networks: Those in front of it.
        name: The network.
        folder: Where crops go.

    Raises:
        DataError: Images that can't be read, or nothing is found in any of them.
    """
    count = 0
    for number, frame in enumerate(answered(picture_frames(calibration_files(images)), networks)):
        for index, (_, crop) in enumerate(pieces(frame, networks, name)):
            crop.image.save(folder / f"{number:05}-{index:02}.png")
            count += 1
    if not count:
        raise DataError(
            f"'{name}' has nothing to be calibrated on: no box passes in any image",
            where=str(images),
            hint="are the images the detector's, and min-score and min-size of its edge right?",
        )
    return count


def _ancestors(pipeline: FramePipeline, name: str) -> list[str]:
    """The networks in front of one, the first before the others."""
    names: list[str] = []
    while (edge := pipeline.file.edge_to(name)) is not None:
        name = edge.source
        names.insert(0, name)
    return names


def remove_crops(root: Path, artefacts: Iterable[Path]) -> list[Path]:
    """Remove the crops that networks were calibrated on; which folders those were.

    Args:
        root: The pipeline's folder.
        artefacts: Of the networks, from there; their crops lie beside them.

    Raises:
        OutputError: They can't be removed.
    """
    folders = [crops_beside(place) for place in artefacts]
    ours = [folder for folder in folders if _is_ours(root / folder)]
    for folder in ours:
        remove_folder(root, folder)
    return ours


def _origin(pipeline: FramePipeline, name: str, before: dict[str, Any]) -> dict[str, Any]:
    """What crops are made from, as JSON data.

    Args:
        pipeline: The file.
        name: The network.
        before: The images' entries when crops were made; those that did not move are not read.
    """
    ancestors = _ancestors(pipeline, name)
    images = pipeline.calib(ancestors[0])
    assert images is not None  # `reads_crops` says so
    wanted = {*ancestors, name}
    edges = [edge for edge in pipeline.file.edges if {edge.source, edge.to} <= wanted]
    return {
        "images": str(images),
        "files": {
            path.name: _entry(path, before.get(path.name)) for path in calibration_files(images)
        },
        "models": {item: _digest(place_of(pipeline, item)) for item in ancestors},
        "edges": [edge.model_dump(mode="json", by_alias=True) for edge in edges],
    }


def _entry(image: Path, before: Any) -> dict[str, Any]:
    status = status_of(image)
    if isinstance(before, dict) and status is not None and before.get("status") == status:
        return {"status": status, "sha256": before.get("sha256")}
    return {"status": status, "sha256": sha256(image)}


def _contents(origin: dict[str, Any]) -> dict[str, Any]:
    """The same without what a copy of the images changes."""
    files = origin.get("files", {}).items()
    digests = {name: entry["sha256"] if isinstance(entry, dict) else None for name, entry in files}
    return {**origin, "files": digests}


def _digest(place: Path) -> dict[str, str]:
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    return {path.name: sha256(path) for path in files if path.is_file()}


def _record(folder: Path) -> dict[str, Any]:
    """What the crops in a folder were made from; empty where that is not known."""
    try:
        made: Any = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) and isinstance(made.get("files"), dict) else {}


def _is_ours(folder: Path) -> bool:
    return (folder / RECORD).is_file()
