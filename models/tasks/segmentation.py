"""Segmentation: an image in, a class for each pixel out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from lprc.core.errors import DataError
from lprc.core.files.checked import StrictTable
from lprc.core.files.image_listing import list_images
from lprc.core.running.numerics import Arrays
from lprc.core.tasks.graph_answer import GraphAnswer
from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.image_input import IMAGENET_MEAN, IMAGENET_SCALE, ImageInput
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task import Sample, Task
from lprc.models.tasks.classification import ClassNames, FocalLoss
from lprc.models.tasks.guesses import guessed_input
from lprc.models.tasks.mask_augmentation import Strength, augmented

if TYPE_CHECKING:
    import torch


class PixelClasses(StrictTable):
    """What an output means, and which class of the masks counts for nothing.

    With one channel and two classes a positive logit is the second class.
    """

    classes: ClassNames
    ignore: Annotated[int, Field(ge=0, le=255)] | None = None


class MaskFolders(StrictTable):
    """Where images and masks lie in a folder of data; a mask has its image's name, as .png."""

    images: str = "images"
    masks: str = "masks"


class Training(FocalLoss):
    """Of the loss on labels: besides that of pixels the weight of the soft Dice loss."""

    dice: Annotated[float, Field(ge=0)] = 0.0


class SegmentationTable(StrictTable):
    """A task file of kind ``segmentation``."""

    input: ImageInput
    output: PixelClasses
    data: MaskFolders = MaskFolders()
    training: Training = Training()


class Segmentation(Task):
    """Tells what each pixel shows.

    The output is float [N, classes, height, width] or, decoded in the graph, integers
    [N, height, width] (or [N, 1, height, width]); it is compared in the size of the mask. The score
    is the mean intersection over union of the classes that occur.
    """

    kind: ClassVar[str] = "segmentation"
    table = SegmentationTable
    metric: ClassVar[str] = "mean IoU"
    is_placed: ClassVar[bool] = True
    settings: SegmentationTable

    @property
    def classes(self) -> tuple[str, ...]:
        """The names by class."""
        return self.settings.output.classes

    def labelled(self, data: Path) -> list[Sample]:
        """Images and their masks: 8-bit PNG, whose values are the classes."""
        masks = data / self.settings.data.masks
        samples = []
        for path in list_images(data / self.settings.data.images):
            mask = masks / f"{path.stem}.png"
            if not mask.is_file():
                raise DataError("has no mask", where=str(path), hint=f"it would be {mask}")
            samples.append(Sample(path, mask, (mask,)))
        return samples

    def unlabelled(self, folder: Path) -> list[Path]:
        """Images in the folder, or in its folder of images."""
        inner = folder / self.settings.data.images
        return list_images(inner if inner.is_dir() else folder)

    def mask(self, path: Path) -> NDArray[np.uint8]:
        """A mask's classes, uint8 [height, width].

        Raises:
            DataError: It can't be read, or has a class that there is none.
        """
        image = read_image(path, "")
        if image.mode not in ("L", "P", "1"):
            raise DataError(
                f"has mode {image.mode}", where=str(path), hint="a mask is 8-bit grey or palette"
            )
        classes: NDArray[np.uint8] = np.asarray(image, np.uint8)
        output = self.settings.output
        beyond = classes[(classes >= len(output.classes)) & (classes != output.ignore)]
        if beyond.size:
            raise DataError(
                f"has class {int(beyond.max())}, and there are {len(output.classes)}",
                where=str(path),
                hint="[output] ignore names the one that counts for nothing",
            )
        return classes

    def answers(
        self, outputs: Mapping[str, NDArray[Any]], places: Sequence[Placement | None]
    ) -> list[NDArray[np.uint8]]:
        """A mask in the size of each image, uint8 [height, width]."""
        scores = next(iter(outputs.values()))
        if scores.ndim == 4 and np.issubdtype(scores.dtype, np.integer):
            scores = scores.reshape(scores.shape[0], *scores.shape[-2:])
        if not np.issubdtype(scores.dtype, np.integer):
            self._check(scores)
        return [self._answer(score, place) for score, place in zip(scores, places, strict=False)]

    def _check(self, scores: NDArray[Any]) -> None:
        count = len(self.classes)
        if scores.ndim != 4 or scores.shape[1] not in (count, 1 if count == 2 else count):
            raise DataError(
                f"the output is {list(scores.shape)}, not [N, {count}, height, width]",
                where=f"task '{self.name}'",
                hint="[output] classes names them",
            )

    def _answer(self, score: NDArray[Any], place: Placement | None) -> NDArray[np.uint8]:
        assert place is not None
        if score.ndim == 2:
            return _in_image(score.astype(np.uint8), place)
        planes = np.stack([_in_image(plane.astype(np.float32), place) for plane in score])
        if len(planes) == 1:
            return np.asarray(planes[0] > 0, np.uint8)
        return np.asarray(planes.argmax(axis=0), np.uint8)

    def answer_in_graph(self, interface: Interface) -> GraphAnswer:
        """The best class of each pixel."""
        del interface
        return {"embed-postprocessing": {"kind": "argmax", "axis": "1"}}

    def judge(self, answer: NDArray[np.uint8], truth: Path) -> NDArray[np.int64]:
        """Pixels by true class and answered class, int64 [classes, classes]."""
        mask = self.mask(truth)
        if mask.shape != answer.shape:
            raise DataError(
                f"is {mask.shape[1]} x {mask.shape[0]}, its image "
                f"{answer.shape[1]} x {answer.shape[0]}",
                where=str(truth),
            )
        count = len(self.classes)
        counted = (
            mask < count
            if self.settings.output.ignore is None
            else ((mask != self.settings.output.ignore) & (mask < count))
        )
        pairs = mask[counted].astype(np.int64) * count + np.minimum(answer[counted], count - 1)
        return np.bincount(pairs, minlength=count * count).reshape(count, count)

    def combine(self, records: Sequence[NDArray[np.int64]]) -> float:
        """The mean IoU over the classes that occur in masks or answers."""
        ious = self._ious(records)
        return float(np.nanmean(ious)) if np.isfinite(ious).any() else 0.0

    def _ious(self, records: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        pixels = np.sum(records, axis=0).astype(np.float64)
        ignore = self.settings.output.ignore
        overlap = np.diag(pixels).copy()
        union = pixels.sum(axis=0) + pixels.sum(axis=1) - overlap
        if ignore is not None and ignore < len(union):
            union[ignore] = 0
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(union > 0, overlap / union, np.nan)

    def details(self, records: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
        """The IoU of each class (null where it does not occur), and the share of right pixels."""
        pixels = np.sum(records, axis=0)
        ious = self._ious(records)
        return {
            "iou": {
                name: None if np.isnan(value) else float(value)
                for name, value in zip(self.classes, ious, strict=True)
            },
            "pixel_accuracy": float(np.trace(pixels) / max(pixels.sum(), 1)),
        }

    def text(self, answer: Any) -> str:
        """The classes that fill most of the image."""
        mask = self.mask(answer) if isinstance(answer, Path) else answer
        counts = np.bincount(mask.reshape(-1), minlength=256)
        largest = [index for index in np.argsort(-counts, kind="stable")[:3] if counts[index]]
        return ", ".join(
            f"{self._name(index)} {counts[index] / mask.size:.0%}" for index in largest
        )

    def _name(self, index: int) -> str:
        return self.classes[index] if index < len(self.classes) else str(index)

    def picture(self, path: Path, answer: Any) -> Image.Image:
        """The image with the mask's colours over it."""
        image = read_image(path)
        mask = self.mask(answer) if isinstance(answer, Path) else answer
        colours = Image.fromarray(_palette(len(self.classes))[mask])
        if colours.size != image.size:
            colours = colours.resize(image.size, Image.Resampling.NEAREST)
        return Image.blend(image, colours, 0.5)

    @classmethod
    def like(cls, interface: Interface) -> dict[str, Any]:
        """Numbered classes, ImageNet's mean and standard deviation."""
        image = guessed_input(interface, IMAGENET_MEAN, IMAGENET_SCALE)
        scores = next(iter(interface.output_arrays.values()))
        if scores.ndim not in (3, 4):
            raise DataError(
                f"its first output is {list(scores.shape)}, and that of segmentation is "
                "[N, classes, height, width]",
                where=interface.where,
            )
        decoded = np.issubdtype(scores.dtype, np.integer) or scores.ndim == 3
        count = 256 if decoded else max(2, scores.shape[1])
        return {"input": image, "output": {"classes": [f"class {i}" for i in range(count)]}}

    def loss(self, outputs: Mapping[str, torch.Tensor], truths: Sequence[Any]) -> torch.Tensor:
        """Cross-entropy (or focal loss) a pixel, and Dice loss, as ``[training]`` says.

        Args:
            outputs: As of `Task.loss`.
            truths: A file of a mask, or uint8 [height, width] that has been moved with its image.
        """
        from lprc.models.tasks.losses import pixel_loss

        masks = [
            self.training_mask(truth) if isinstance(truth, Path) else truth for truth in truths
        ]
        settings = self.settings
        return pixel_loss(
            next(iter(outputs.values())),
            masks,
            ignore=settings.output.ignore,
            dice=settings.training.dice,
            focal=settings.training.focal,
        )

    def moved(
        self, path: Path, truth: Path, interface: Interface, generator: np.random.Generator
    ) -> tuple[Arrays, NDArray[np.uint8]]:
        """A part of the image at another scale, perhaps mirrored, in another light; its mask."""
        image = read_image(path, "L" if self.input.color == "GRAY" else "RGB")
        pixels, mask = augmented(
            np.asarray(self.input.fitted(image), np.uint8),
            self.training_mask(truth),
            Strength(),
            generator,
        )
        return {interface.image_input: self.input.normalized(pixels)}, mask

    def training_mask(self, path: Path) -> NDArray[np.uint8]:
        """A mask in the size of the input, placed as its image is: uint8 [height, width]."""
        image = Image.fromarray(self.mask(path))
        settings = self.input.changed(
            color="GRAY",
            interpolation="nearest",
            border=self.settings.output.ignore or 0,
        )
        return np.asarray(settings.fitted(image), np.uint8)


def _in_image(plane: NDArray[Any], place: Placement) -> NDArray[Any]:
    """An output's plane as it lies over the image: borders cut off, in the image's size.

    Args:
        plane: uint8 (classes: nearest) or float32 (scores: bilinear) [height, width].
        place: Where the image lies in the input.
    """
    resample = Image.Resampling.NEAREST if plane.dtype == np.uint8 else Image.Resampling.BILINEAR
    across, down = plane.shape[1] / place.input[0], plane.shape[0] / place.input[1]
    if place.image == (plane.shape[1], plane.shape[0]) and place.scaled == place.input:
        return plane
    box = (
        max(0.0, place.left * across),
        max(0.0, place.top * down),
        min(plane.shape[1], (place.left + place.scaled[0]) * across),
        min(plane.shape[0], (place.top + place.scaled[1]) * down),
    )
    return np.asarray(Image.fromarray(plane).resize(place.image, resample, box))


def _palette(count: int) -> NDArray[np.uint8]:
    """Colours that can be told apart, uint8 [256, 3]; grey for classes beyond `count`."""
    import colorsys

    colours = np.full((256, 3), 128, np.uint8)
    for index in range(min(count, 256)):
        hue = (index * 0.61803398875) % 1.0
        shade = colorsys.hsv_to_rgb(hue, 0.85, 0.95 if index % 2 == 0 else 0.6)
        colours[index] = [round(255 * value) for value in shade]
    return colours
