"""Classifiers: an image in, one class out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lprc.core.errors import DataError
from lprc.core.files.checked import StrictTable
from lprc.core.files.image_listing import LABELS_FILE, SUFFIXES, list_images
from lprc.core.tasks.graph_answer import GraphAnswer
from lprc.core.tasks.image_input import IMAGENET_MEAN, IMAGENET_SCALE, ImageInput
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task import Sample, Task
from lprc.models.tasks.guesses import guessed_input
from lprc.models.tasks.label_tables import read_labels_table

if TYPE_CHECKING:
    import torch

ClassNames = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class ClassScores(StrictTable):
    """What an output means: the name of each class."""

    classes: ClassNames


class FocalLoss(StrictTable):
    """Of the loss on labels: the exponent of the focal loss; 0 is cross-entropy."""

    focal: Annotated[float, Field(ge=0)] = 0.0


class ClassificationTable(StrictTable):
    """A task file of kind ``classification``."""

    input: ImageInput
    output: ClassScores
    training: FocalLoss = FocalLoss()


class Classification(Task):
    """Tells what is in an image.

    The output is float [N, classes] (axes of 1 behind that are ignored) or, decoded in the graph,
    integers [N]; the score is the share of images whose best class is right.
    """

    kind: ClassVar[str] = "classification"
    table = ClassificationTable
    metric: ClassVar[str] = "top-1 accuracy"
    shares: ClassVar[bool] = True
    settings: ClassificationTable

    @property
    def classes(self) -> tuple[str, ...]:
        """The names by class."""
        return self.settings.output.classes

    def labelled(self, data: Path) -> list[Sample]:
        """Images with their class: by ``labels.csv``, or by the folder that an image is in.

        A label is a class's name, or its number where no class has that name.
        """
        table = data / LABELS_FILE
        if table.is_file():
            return [
                Sample(path, self._class(label, path), (table,))
                for path, label in read_labels_table(table)
            ]
        if not data.is_dir():
            raise DataError("no such folder", where=str(data))
        folders = sorted(path for path in data.iterdir() if path.is_dir())
        if not folders:
            raise DataError(
                "has no labels",
                where=str(data),
                hint=f"put a {LABELS_FILE} (file, label) into it, or a folder for each class",
            )
        return [
            Sample(path, self._class(folder.name, folder))
            for folder in folders
            for path in list_images(folder)
        ]

    def unlabelled(self, folder: Path) -> list[Path]:
        """Images in the folder, or in a folder for each class."""
        if folder.is_dir() and not any(
            path.suffix.lower() in SUFFIXES for path in folder.iterdir()
        ):
            inner = sorted(path for path in folder.iterdir() if path.is_dir())
            if inner:
                return [path for place in inner for path in list_images(place)]
        return list_images(folder)

    def _class(self, label: str, where: Path) -> int:
        if label in self.classes:
            return self.classes.index(label)
        if label.isdecimal() and int(label) < len(self.classes):
            return int(label)
        raise DataError(
            f"'{label}' is none of the {len(self.classes)} classes",
            where=str(where),
            hint=f"those of task '{self.name}' are {', '.join(self.classes[:5])} …",
        )

    def answers(
        self, outputs: Mapping[str, NDArray[Any]], places: Sequence[Placement | None]
    ) -> list[NDArray[np.int64]]:
        """The five best classes of each image, the best first."""
        scores = next(iter(outputs.values()))[: len(places)]
        scores = scores.reshape(scores.shape[0], -1)
        if np.issubdtype(scores.dtype, np.integer):
            return list(scores.astype(np.int64))
        if scores.shape[1] != len(self.classes):
            raise DataError(
                f"the output has {scores.shape[1]} classes, not {len(self.classes)}",
                where=f"task '{self.name}'",
                hint="[output] classes names them",
            )
        return list(np.argsort(-scores, axis=1, kind="stable")[:, :5].astype(np.int64))

    def answer_in_graph(self, interface: Interface) -> GraphAnswer:
        """The best class."""
        del interface
        return {"embed-postprocessing": {"kind": "argmax", "axis": "1"}}

    def judge(self, answer: NDArray[np.int64], truth: int) -> NDArray[np.float64]:
        """Whether the best class is right, whether one of five is, the class, and the answer."""
        best = int(answer[0])
        return np.array([best == truth, truth in answer, truth, best], np.float64)

    def combine(self, records: Sequence[NDArray[np.float64]]) -> float:
        """Right best classes over images."""
        return float(np.mean([record[0] for record in records]))

    def details(self, records: Sequence[NDArray[np.float64]]) -> dict[str, Any]:
        """Top-5 accuracy, and the pairs of classes that are confused most often."""
        array = np.stack(records)
        wrong = array[array[:, 0] == 0][:, 2:].astype(int)
        pairs, counts = np.unique(wrong, axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:10]
        return {
            "top5": float(array[:, 1].mean()),
            "confused": [
                {
                    "label": self.classes[pairs[index][0]],
                    "answer": self.classes[pairs[index][1]],
                    "count": int(counts[index]),
                }
                for index in order
            ],
        }

    def text(self, answer: Any) -> str:
        """The class's name."""
        index = int(np.ravel(answer)[0])
        return self.classes[index] if 0 <= index < len(self.classes) else str(index)

    @classmethod
    def like(cls, interface: Interface) -> dict[str, Any]:
        """Numbered classes, ImageNet's mean and standard deviation."""
        image = guessed_input(interface, IMAGENET_MEAN, IMAGENET_SCALE)
        shape = next(iter(interface.output_arrays.values())).shape
        count = int(np.prod(shape[1:])) if len(shape) > 1 else 0
        if len(interface.outputs) != 1 or count < 2 or max(shape[1:]) != count:
            raise DataError(
                f"its first output is {list(shape)}, and a classifier's is [N, classes]",
                where=interface.where,
            )
        return {"input": image, "output": {"classes": [f"class {i}" for i in range(count)]}}

    def loss(self, outputs: Mapping[str, torch.Tensor], truths: Sequence[Any]) -> torch.Tensor:
        """Softmax cross-entropy a sample, or the focal loss as ``[training] focal`` says."""
        import torch

        from lprc.models.tasks.losses import cross_entropy

        logits = next(iter(outputs.values()))
        labels = torch.tensor(list(truths), device=logits.device)
        logits = logits.reshape(logits.shape[0], -1)
        return cross_entropy(logits, labels, focal=self.settings.training.focal)
