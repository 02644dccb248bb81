"""Arrays in files as calibration samples: for networks of any inputs, not of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.files.array_files import read_array, read_arrays
from lprc.core.files.array_listing import array_files
from lprc.core.files.regular import open_regular
from lprc.core.graph import editing

Sample = dict[str, NDArray[Any]]

HOW_TO_NAME = "arrays are named as the model's inputs, as numpy.savez(file, NAME=array) does"


class ArraySamples(Sequence[Sample]):
    """The samples in a folder of .npz or .npy files, or in one such file.

    A file of a folder is one sample: an .npz with an array for each input, or an .npy of a model
    with one input. An array has the input's shape, or lacks its batch, which is then filled. In one
    file instead of a folder, the first axis of every array counts samples: it is the input's batch,
    or stands in front of all its axes. A folder's files are read when they are looked at.

    Args:
        place: The folder or the file.
        model: Its inputs take the arrays.
        where: What to call the model in errors.
        whole: Whether one file whose arrays have as many axes as the inputs is one sample.

    Raises:
        DataError: Nothing of the kind is there, or a file does not fit the model.
    """

    def __init__(self, place: Path, model: ir.Model, where: str, *, whole: bool = False) -> None:
        self._inputs = _inputs_of(model)
        self._where = where
        self._whole = whole
        _refuse_special(place)
        self._files = [] if place.is_file() else array_files(place)
        self._stacked = self._split(place) if place.is_file() else []
        if not self._files and not self._stacked:
            raise DataError(
                "no .npz or .npy files in it",
                where=str(place),
                hint=f"each is a sample, and its {HOW_TO_NAME}",
            )

    def __len__(self) -> int:
        """The number of samples."""
        return len(self._files or self._stacked)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """A sample: arrays of the inputs' types and ranks, by input name.

        Raises:
            DataError: A file can't be read, or does not fit the model.
        """
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if self._stacked:
            return self._stacked[index]
        path = self._files[index]
        arrays = self._arrays(path)
        return {
            name: fitting(_with_batch(arrays[name], value), value, str(path))
            for name, value in self._inputs.items()
        }

    def _split(self, path: Path) -> list[Sample]:
        """The samples that one file holds along the first axes of its arrays."""
        arrays = self._arrays(path)
        if self._whole and all(
            arrays[name].ndim == editing.rank(value) for name, value in self._inputs.items()
        ):
            return [fitting_inputs(arrays, self._inputs, str(path))]
        parts = {
            name: [
                fitting(part, value, str(path)) for part in _along_first_axis(arrays[name], value)
            ]
            for name, value in self._inputs.items()
        }
        counts = {name: len(samples) for name, samples in parts.items()}
        if len(set(counts.values())) != 1:
            told = ", ".join(f"{count} of '{name}'" for name, count in counts.items())
            raise DataError(
                f"holds samples in different numbers: {told}",
                where=str(path),
                hint="the first axis of each array counts samples",
            )
        return [
            dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)
        ]

    def _arrays(self, path: Path) -> Sample:
        """The arrays of a file by input name."""
        if path.suffix.lower() == ".npy":
            if len(self._inputs) != 1:
                raise DataError(
                    f"has {len(self._inputs)} inputs, and {path.name} holds one array",
                    where=self._where,
                    hint=f"write .npz files, in which {HOW_TO_NAME}",
                )
            return {next(iter(self._inputs)): read_array(path)}
        arrays = read_arrays(path)
        _check_names(arrays, self._inputs, str(path))
        return arrays


def _refuse_special(place: Path) -> None:
    """Refuse devices, sockets and the like, which are neither files nor folders."""
    if not place.exists() or place.is_file() or place.is_dir():
        return
    try:
        open_regular(place).close()
    except OSError as error:
        raise DataError(str(error.strerror), where=str(place)) from error


def fitting_sample(sample: Mapping[str, NDArray[Any]], model: ir.Model, where: str) -> Sample:
    """One set of inputs in the element types of a model's inputs.

    Raises:
        DataError: Other inputs than the model's, or one of another rank, size or type; `where` is
            what to call the set.
    """
    inputs = _inputs_of(model)
    _check_names(sample, inputs, where)
    return fitting_inputs(sample, inputs, where)


def fitting_inputs(
    sample: Mapping[str, NDArray[Any]], inputs: Mapping[str, ir.Value], where: str
) -> Sample:
    """`fitting` for each of `inputs`, of which `sample` has all."""
    return {name: fitting(sample[name], value, where) for name, value in inputs.items()}


def _inputs_of(model: ir.Model) -> dict[str, ir.Value]:
    return {str(value.name): value for value in model.graph.inputs if not value.is_initializer()}


def _check_names(arrays: Mapping[str, object], inputs: Mapping[str, ir.Value], where: str) -> None:
    if set(arrays) != set(inputs):
        raise DataError(
            f"it has {', '.join(sorted(arrays)) or 'nothing'}; "
            f"the inputs are {', '.join(inputs) or 'none'}",
            where=where,
            hint=HOW_TO_NAME,
        )


def fitting(array: NDArray[Any], value: ir.Value, where: str) -> NDArray[Any]:
    """The array in the element type of a graph input.

    Raises:
        DataError: It has another rank or size, or a type that can't be cast without loss of kind.
    """
    sizes = [editing.dimension(value, axis) for axis in range(editing.rank(value) or 0)]
    rank = editing.rank(value)
    if rank is not None and (
        array.ndim != rank
        or any(wanted not in (None, size) for wanted, size in zip(sizes, array.shape, strict=True))
    ):
        wanted_shape = [str(size) if size is not None else "?" for size in sizes]
        raise DataError(
            f"'{value.name}' is {list(array.shape)}, "
            f"and the input takes [{', '.join(wanted_shape)}]",
            where=where,
            hint="save what the model is run on, after all preprocessing",
        )
    if value.dtype is None:
        return array
    dtype = value.dtype.numpy()
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise DataError(
            f"'{value.name}' is {array.dtype}, and the input takes {dtype}",
            where=where,
            hint=f"save it as {dtype}",
        )
    return array.astype(dtype, copy=False)


def _with_batch(array: NDArray[Any], value: ir.Value) -> NDArray[Any]:
    """The array with the input's batch in front, where that is all that it lacks."""
    rank = editing.rank(value)
    if rank is None or array.ndim != rank - 1:
        return array
    return np.repeat(array[None], editing.dimension(value, 0) or 1, axis=0)


def _along_first_axis(array: NDArray[Any], value: ir.Value) -> list[NDArray[Any]]:
    """The samples that an array holds, each with as many axes as the input if that is known."""
    rank = editing.rank(value)
    if array.ndim == 0 or (rank is not None and array.ndim not in (rank, rank + 1)):
        return [array]
    if rank is not None and array.ndim == rank + 1:
        return list(array) if rank else [np.asarray(number) for number in array]
    batch = editing.dimension(value, 0) or 1
    return [array[at : at + batch] for at in range(0, len(array) - batch + 1, batch)]
