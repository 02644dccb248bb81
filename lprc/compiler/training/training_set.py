"""What is trained on: images read when they are needed, or arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from lprc.core.errors import DataError
from lprc.core.files.array_files import read_arrays
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.task import Task

Tensors = dict[str, torch.Tensor]


class Samples(Protocol):
    """Inputs of a network by number."""

    @property
    def labels(self) -> Sequence[Any] | None:
        """What a task calls the truth of each; None where that is not known."""

    def __len__(self) -> int:
        """The number of samples."""

    def batch(self, indices: Sequence[int]) -> Tensors:
        """The inputs of some samples, by name, float32."""


@dataclass(frozen=True)
class Images:
    """Images, prepared as a task says.

    Attributes:
        input: The network's input that takes them.
        paths: Their files.
        labels: What the task calls the truth of each; None where that is not known.
        task: Fitted to the model.
        interface: The model's.
    """

    input: str
    paths: tuple[Path, ...]
    labels: tuple[Any, ...] | None
    task: Task
    interface: Interface

    @classmethod
    def read(cls, folder: Path, task: Task, interface: Interface, *, labelled: bool) -> Images:
        """The samples in `folder`.

        Raises:
            DataError: No images, or unusable labels where they are needed.
        """
        name = interface.image_input
        if not labelled:
            return cls(name, tuple(task.unlabelled(folder)), None, task, interface)
        samples = task.labelled(folder)
        paths, labels = zip(*((item.path, item.truth) for item in samples), strict=True)
        return cls(name, paths, labels, task, interface)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.paths)

    def batch(self, indices: Sequence[int]) -> Tensors:
        """Images as float32 [n, channels, height, width].

        Raises:
            DataError: One can't be read.
        """
        arrays = [
            self.task.prepare(self.paths[index], self.interface)[0][self.input] for index in indices
        ]
        return {self.input: torch.from_numpy(np.stack(arrays))}

    def moved_batch(
        self, indices: Sequence[int], generator: np.random.Generator
    ) -> tuple[Tensors, list[Any]] | None:
        """Labelled images as another camera might have taken them; see `Task.moved`.

        Raises:
            DataError: A file can't be read.
        """
        if self.labels is None:
            return None
        arrays, truths = [], []
        for index in indices:
            moved = self.task.moved(
                self.paths[index], self.labels[index], self.interface, generator
            )
            if moved is None:
                return None
            arrays.append(moved[0][self.input])
            truths.append(moved[1])
        return {self.input: torch.from_numpy(np.stack(arrays))}, truths

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value after preprocessing."""
        return self.task.input.range


@dataclass(frozen=True)
class Rows:
    """Arrays whose rows are the samples, from an .npz file; never augmented."""

    arrays: Tensors
    labels: None = None

    @classmethod
    def read(cls, path: Path, names: Sequence[str]) -> Rows:
        """The arrays of an .npz file.

        Raises:
            DataError: Not such a file, or not one with an array of equally many rows an input.
        """
        arrays = read_arrays(path)
        if set(arrays) != set(names):
            raise DataError(
                f"it has {', '.join(sorted(arrays)) or 'nothing'}; "
                f"the model's inputs are {', '.join(names)}",
                where=str(path),
            )
        if len({len(array) if array.ndim else 0 for array in arrays.values()}) != 1:
            raise DataError("its arrays have different numbers of rows", where=str(path))
        return cls({name: torch.from_numpy(array) for name, array in arrays.items()})

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self.arrays.values())))

    def batch(self, indices: Sequence[int]) -> Tensors:
        """Some rows."""
        return {name: array[list(indices)] for name, array in self.arrays.items()}


@dataclass(frozen=True)
class Split:
    """Which samples are trained on, and which are held out."""

    trained: tuple[int, ...]
    held_out: tuple[int, ...]

    @classmethod
    def of(cls, count: int, part: float, seed: int) -> Split:
        """A random split; at least one sample on each side, unless nothing is to be held out.

        Raises:
            DataError: Too few samples to split.
        """
        if part and count < 2:
            raise DataError(
                "one sample can't be split", where="--hold-out", hint="use --hold-out 0"
            )
        order = np.random.default_rng(seed).permutation(count).tolist()
        size = min(count - 1, max(1, round(count * part))) if part else 0
        return cls(tuple(sorted(order[size:])), tuple(sorted(order[:size])))
