"""What goes to other machines: files by their contents, unpacked once on each."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from lprc.compiler.cache.input_files import weight_files
from lprc.compiler.searching.evaluate import Question

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Parcel:
    """The files of a question, and the question with their places in the parcel.

    Attributes:
        payload: A zip archive; equal files give equal bytes.
        digest: Its SHA-256.
        question: With paths relative to the parcel.
    """

    payload: bytes
    digest: str
    question: Question


def parcel(question: Question) -> Parcel:
    """Pack all that a question needs.

    Raises:
        LprcError: A file of it can't be read.
    """
    task_file = Path(question.task) if question.task and Path(question.task).is_file() else None
    folder = question.model.parent
    weights = [folder / name for name in weight_files(question.model, None)]
    files = {
        f"model/{path.relative_to(folder).as_posix()}": path for path in (question.model, *weights)
    }
    files |= _all_below("data", question.data)
    if question.calibration is not None:
        files |= _all_below("calibration", question.calibration)
    if task_file is not None:
        files[f"task/{task_file.name}"] = task_file
    payload = _zipped(files)
    packed = replace(
        question,
        model=Path("model", question.model.name),
        data=_packed("data", question.data),
        calibration=(
            None if question.calibration is None else _packed("calibration", question.calibration)
        ),
        task=question.task if task_file is None else f"task/{task_file.name}",
    )
    return Parcel(payload, hashlib.sha256(payload).hexdigest(), packed)


def unpacked(payload: bytes, digest: str, parent: Path) -> Path:
    """The folder with a parcel's files; made where it is not there yet.

    Args:
        payload: The archive.
        digest: Its SHA-256.
        parent: Where parcels lie.
    """
    folder = parent / f"lprc-{digest[:32]}"
    if folder.is_dir():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=parent))
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        archive.extractall(scratch)
    try:
        scratch.rename(folder)
    except OSError:  # another thread was faster
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def question_in(folder: Path, question: Question) -> Question:
    """The question of a parcel with the places of its files in `folder`."""
    own_task = question.task is not None and question.task.startswith("task/")
    return replace(
        question,
        model=folder / question.model,
        data=folder / question.data,
        calibration=None if question.calibration is None else folder / question.calibration,
        task=str(folder / str(question.task)) if own_task else question.task,
    )


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of an artefact by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def write_folder(files: dict[str, bytes], folder: Path) -> None:
    """Write an artefact's files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _packed(name: str, place: Path) -> Path:
    """Where a folder, or a file, is in a parcel."""
    return Path(name) if place.is_dir() else Path(name, place.name)


def _all_below(name: str, place: Path) -> dict[str, Path]:
    """The files of a folder, or of that around a file, by their places in a parcel."""
    root = place if place.is_dir() else place.parent
    files = [path for path in root.rglob("*") if path.is_file()]
    return {f"{name}/{path.relative_to(root).as_posix()}": path for path in files}


def _zipped(files: dict[str, Path]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes())
    return stream.getvalue()
