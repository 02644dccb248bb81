"""What goes to other machines: files by their contents, unpacked once on each."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lprc.compiler.cache.input_files import weight_files

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Parcel:
    """Files that go to each worker once.

    Attributes:
        payload: A zip archive; equal files give equal bytes.
        digest: Its SHA-256.
    """

    payload: bytes
    digest: str


def packed(files: Mapping[str, Path]) -> Parcel:
    """A parcel of files by their places in it.

    Raises:
        OSError: One can't be read.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes())
    payload = stream.getvalue()
    return Parcel(payload, hashlib.sha256(payload).hexdigest())


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


def model_files(model: Path, folder: str) -> dict[str, Path]:
    """A model and its external weights by their places in a parcel, below `folder`."""
    weights = [model.parent / name for name in weight_files(model, None)]
    return {
        f"{folder}/{path.relative_to(model.parent).as_posix()}": path for path in (model, *weights)
    }


def sample_files(place: Path, folder: str) -> tuple[dict[str, Path], Path]:
    """The files of a folder, or of that around a file, below `folder` of a parcel.

    Returns:
        They, and where in the parcel is what `place` is here.
    """
    root = place if place.is_dir() else place.parent
    files = {
        f"{folder}/{path.relative_to(root).as_posix()}": path
        for path in root.rglob("*")
        if path.is_file()
    }
    return files, Path(folder) if place.is_dir() else Path(folder, place.name)


def task_files(task: str | None, folder: str) -> tuple[dict[str, Path], str | None]:
    """A task's file, where it has one, below `folder` of a parcel.

    Returns:
        It, and what to call the task in the parcel.
    """
    if task is None or not Path(task).is_file():
        return {}, task
    return {f"{folder}/{Path(task).name}": Path(task)}, f"{folder}/{Path(task).name}"


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of an artefact by their places in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write an artefact's files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
