"""Which files a compile reads, found without reading the graph where that is known already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lprc.compiler.cache.store import Store
from lprc.core.errors import DataError
from lprc.core.files.array_listing import array_files
from lprc.core.files.digest import sha256
from lprc.core.files.image_listing import list_images, list_labelled


@dataclass(frozen=True)
class InputFiles:
    """What a compile reads.

    Attributes:
        model: The ONNX file.
        weights: The files beside it that its external weights are in.
        calibration: Images, or files of arrays.
        samples: Files of arrays to verify with.
        data: Labelled images, the tables of their labels, and arrays.
        settings: Configuration files.
        folders: Those that were listed: another file in one is another input.
    """

    model: Path
    weights: tuple[Path, ...] = ()
    calibration: tuple[Path, ...] = ()
    samples: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()
    settings: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All files, each once."""
        model = (self.model, *self.weights)
        parts = model, self.calibration, self.samples, self.data, self.settings
        return list(dict.fromkeys(path for part in parts for path in part))


def input_files(
    model: Path,
    *,
    calib: Path | None = None,
    inputs: Path | None = None,
    data: Path | None = None,
    task: str | None = None,
    store: Store | None = None,
) -> InputFiles:
    """The files that a compile with these options reads.

    Args:
        model: The ONNX file.
        calib: A folder of images or arrays, or one file of arrays.
        inputs: A folder of arrays, or one file of them.
        data: A folder of labelled samples, or a file of labels in one.
        task: Name or file of the task.
        store: Remembers which files a model's weights are in; None reads the graph for it.

    Raises:
        OSError: The model can't be read.
        DataError: A folder can't be read, or has no images.
        InvalidModelError: Not an ONNX file.
    """
    samples = tuple(calibration_files(calib)) if calib is not None else ()
    return InputFiles(
        model,
        tuple(model.parent / place for place in weight_files(model, store)),
        samples,
        tuple(array_files(inputs)) if inputs is not None else (),
        tuple(data_files(data)) if data is not None else (),
        (Path(task),) if task is not None and task.endswith(".toml") else (),
        tuple(
            folder
            for folder in (calib, inputs, data)
            if folder is not None and not folder.is_file()
        ),
    )


def calibration_files(place: Path) -> list[Path]:
    """The files of a folder of samples, or the one file of them, sorted by name.

    Raises:
        DataError: No such folder, or neither arrays nor images in it or in folders of it.
    """
    arrays = array_files(place)
    if arrays:
        return arrays
    try:
        return list_images(place)
    except DataError:
        return list_labelled(place)  # in folders of it


def data_files(place: Path) -> list[Path]:
    """The files of labelled samples: images and their labels, or arrays, sorted by name.

    Raises:
        DataError: No such folder, or none of them in it.
    """
    arrays = array_files(place)
    if place.is_file() and arrays:
        return arrays
    try:
        return sorted({*arrays, *list_labelled(place)})
    except DataError:
        if not arrays:
            raise
        return arrays


def weight_files(model: Path, store: Store | None) -> list[str]:
    """The files of a model's external weights, relative to its folder.

    Raises:
        OSError: The model can't be read.
        InvalidModelError: Not an ONNX file.
    """
    key = sha256(model)
    entry = store.read("weights", key) if store is not None else None
    if entry is not None:
        return [str(place) for place in entry.header["files"]]
    from lprc.core.onnx_io.external_data import external_files  # imports onnx

    files = external_files(model)
    if store is not None:
        store.write("weights", key, {"files": files})
    return files
