"""What nvinfer does by its documentation, as far as bundles use it: it goes by the files alone.

Pictures are scaled by Pillow as lprc's tasks scale them, and networks run in ONNX Runtime.
"""

from __future__ import annotations

import configparser
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from nvinfer_parsers import Harness
from PIL import Image

_COLORS = {"0": slice(None), "1": slice(None, None, -1)}


@dataclass
class Object:
    """What a detector found; NvDsObjectMeta.

    Attributes:
        engine: The detector's gie-unique-id.
        label: The class.
        score: Its confidence.
        box: Left, top, right, bottom in pixels of the frame.
        texts: What classifiers read, by their gie-unique-id.
    """

    engine: int
    label: int
    score: float
    box: tuple[float, float, float, float]
    texts: dict[int, str] = field(default_factory=dict)


class Engine:
    """One nvinfer element.

    Args:
        config: Its configuration file.
        harness: Calls the parsers.
    """

    def __init__(self, config: Path, harness: Harness) -> None:
        parsed = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        parsed.optionxform = str  # type: ignore[assignment,method-assign]
        parsed.read_string(config.read_text(encoding="utf-8"))
        self.keys = parsed["property"]
        self.attributes = (
            dict(parsed.items("class-attrs-all")) if parsed.has_section("class-attrs-all") else {}
        )
        self.folder = config.parent
        self.harness = harness

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        lowered = (self.folder / self.keys["model-engine-file"]).parent / "lowered.onnx"
        return onnxruntime.InferenceSession(lowered, providers=["CPUExecutionProvider"])

    @property
    def size(self) -> tuple[int, int]:
        _, height, width = map(int, self.keys["infer-dims"].split(";"))
        return width, height

    def infer(self, picture: Image.Image) -> tuple[dict[str, NDArray[Any]], tuple[float, ...]]:
        """The outputs without their batch axis; ratio x, ratio y, left and top of the picture."""
        width, height = self.size
        ratios = [width / picture.width, height / picture.height]
        if self.keys["maintain-aspect-ratio"] == "1":
            ratios = [min(ratios)] * 2
        scaled = max(1, round(picture.width * ratios[0])), max(1, round(picture.height * ratios[1]))
        left = top = 0
        if self.keys["symmetric-padding"] == "1":
            left, top = (width - scaled[0]) // 2, (height - scaled[1]) // 2
        canvas = Image.new("RGB", (width, height))
        filters = {"0": Image.Resampling.NEAREST, "1": Image.Resampling.BILINEAR}
        resized = picture
        if picture.size != scaled:
            resized = picture.resize(scaled, filters[self.keys["scaling-filter"]])
        canvas.paste(resized, (left, top))
        pixels = np.asarray(canvas)[..., _COLORS[self.keys["model-color-format"]]]
        offsets = np.array(self.keys["offsets"].split(";"), np.float32)
        values = (pixels - offsets) * np.float32(self.keys["net-scale-factor"])
        array = values if self.keys["network-input-order"] == "1" else values.transpose(2, 0, 1)
        (taken,) = self.session.get_inputs()
        given = {taken.name: np.ascontiguousarray(array[None], np.float32)}
        names = [output.name for output in self.session.get_outputs()]
        outputs = self.session.run(names, given)
        found = {name: array[0] for name, array in zip(names, outputs, strict=True)}
        return found, (scaled[0] / picture.width, scaled[1] / picture.height, left, top)

    def run(self, frame: Image.Image, objects: list[Object]) -> None:
        """Add what a detector finds in a frame, or the texts that a classifier reads in objects."""
        if self.keys["process-mode"] == "1":
            objects += self._found(frame)
            return
        for item in objects:
            if self._reads(item):
                outputs, _ = self.infer(frame.crop(_outer(item.box, frame.size)))
                function = self.keys["parse-classifier-func-name"]
                text, _ = self.harness.text(function, outputs, self.size)
                item.texts[int(self.keys["gie-unique-id"])] = text

    def _found(self, frame: Image.Image) -> list[Object]:
        assert self.keys["network-type"] == "0"
        assert self.keys["cluster-mode"] == "4"
        outputs, (ratio_x, ratio_y, left, top) = self.infer(frame)
        least = float(self.attributes["pre-cluster-threshold"])
        classes = int(self.keys["num-detected-classes"])
        rows = self.harness.boxes(
            self.keys["parse-bbox-func-name"], outputs, self.size, [least] * classes
        )
        found = []
        for x, y, width, height, score, label in rows[: int(self.attributes["topk"])].tolist():
            box = (
                min(max((x - left) / ratio_x, 0), frame.width),
                min(max((y - top) / ratio_y, 0), frame.height),
                min(max((x + width - left) / ratio_x, 0), frame.width),
                min(max((y + height - top) / ratio_y, 0), frame.height),
            )
            found.append(Object(int(self.keys["gie-unique-id"]), int(label), score, box))
        return found

    def _reads(self, item: Object) -> bool:
        classes = self.keys.get("operate-on-class-ids")
        width, height = item.box[2] - item.box[0], item.box[3] - item.box[1]
        return (
            item.engine == int(self.keys["operate-on-gie-id"])
            and (classes is None or item.label in map(int, classes.split(";")))
            and width >= int(self.keys["input-object-min-width"])
            and height >= int(self.keys["input-object-min-height"])
        )


def _outer(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box in whole pixels outwards."""
    left, top, right, bottom = box
    return (
        int(np.floor(left + 1e-4)),
        int(np.floor(top + 1e-4)),
        min(size[0], int(np.ceil(right - 1e-4))),
        min(size[1], int(np.ceil(bottom - 1e-4))),
    )


def run(bundle: Path, order: Sequence[str], harness: Harness, frame: Image.Image) -> list[Object]:
    """What a bundle's engines find and read in a frame, one behind the other."""
    objects: list[Object] = []
    for engine in engines(bundle, order, harness):
        engine.run(frame, objects)
    return objects


def engines(bundle: Path, order: Sequence[str], harness: Harness) -> list[Engine]:
    """The engines of a bundle."""
    return [Engine(bundle / "config" / f"{name}.txt", harness) for name in order]
