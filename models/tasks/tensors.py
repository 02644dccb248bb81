"""Any model: arrays in, arrays out, compared with what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.files.array_files import read_arrays
from lprc.core.files.array_listing import array_files
from lprc.core.files.checked import StrictTable
from lprc.core.running.agreement import agreement
from lprc.core.running.numerics import Arrays
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task import Sample, Task


class TensorsTable(StrictTable):
    """A task file of kind ``tensors``: nothing is to be said."""


class Tensors(Task):
    """Compares outputs with arrays.

    A sample is one ``.npz`` file whose arrays are named as the model's inputs and outputs. The
    score is the agreement (see `lprc.core.running.agreement.agreement`), a mean over samples and
    outputs.
    """

    kind: ClassVar[str] = "tensors"
    table = TensorsTable
    metric: ClassVar[str] = "agreement"
    samples: ClassVar[str] = "samples"
    takes_images: ClassVar[bool] = False

    def unlabelled(self, folder: Path) -> list[Path]:
        """The files of arrays in a folder."""
        files = array_files(folder)
        if not files:
            raise DataError("no .npz or .npy files in it", where=str(folder))
        return files

    def labelled(self, data: Path) -> list[Sample]:
        """The .npz files of a folder, or one such file."""
        if data.is_file():
            return [Sample(data, data)]
        if not data.is_dir():
            raise DataError("no such folder", where=str(data))
        return [Sample(path, path) for path in self.unlabelled(data)]

    def prepare(self, path: Path, interface: Interface) -> tuple[Arrays, Placement | None]:
        """The arrays that are named as the inputs."""
        arrays = read_arrays(path)
        missing = [name for name in interface.inputs if name not in arrays]
        if missing:
            raise DataError(
                f"has no array '{missing[0]}', which the model takes",
                where=str(path),
                hint=f"its arrays are {', '.join(sorted(arrays)) or 'none'}",
            )
        return {name: arrays[name] for name in interface.inputs}, None

    def answers(
        self, outputs: Mapping[str, NDArray[Any]], places: Sequence[Placement | None]
    ) -> list[Mapping[str, NDArray[Any]]]:
        """The outputs themselves."""
        return [outputs]

    def judge(self, answer: Mapping[str, NDArray[Any]], truth: Path) -> NDArray[np.float64]:
        """Agreement, and the energies of what is wanted and of the error."""
        arrays = read_arrays(truth)
        wanted = {name: arrays[name] for name in answer if name in arrays}
        if not wanted:
            raise DataError(
                f"has none of the outputs {', '.join(answer)}",
                where=str(truth),
                hint="a sample's file holds what should come out, too",
            )
        shares, signal, noise = [], 0.0, 0.0
        for name, expected in wanted.items():
            if np.shape(expected) != np.shape(answer[name]):
                raise DataError(
                    f"'{name}' is {list(np.shape(expected))}, "
                    f"and the model gives {list(np.shape(answer[name]))}",
                    where=str(truth),
                )
            shares.append(agreement(expected, answer[name]))
            wide = expected.astype(np.float64)
            signal += float(np.sum(wide**2))
            noise += float(np.sum((wide - answer[name]) ** 2))
        return np.array([np.mean(shares), signal, noise])

    def combine(self, records: Sequence[NDArray[np.float64]]) -> float:
        """The mean agreement."""
        return float(np.mean([record[0] for record in records]))

    def details(self, records: Sequence[NDArray[np.float64]]) -> dict[str, Any]:
        """The signal-to-noise ratio in decibels; null without an error."""
        _, signal, noise = np.sum(records, axis=0)
        return {"snr_db": 10 * float(np.log10(signal / noise)) if signal > 0 < noise else None}

    def text(self, answer: Any) -> str:
        """The outputs' shapes, or the file's name."""
        if isinstance(answer, Path):
            return answer.name
        return ", ".join(f"{name} {list(np.shape(array))}" for name, array in answer.items())

    @classmethod
    def like(cls, interface: Interface) -> dict[str, Any]:
        """Nothing is to be said."""
        del interface
        return {}
