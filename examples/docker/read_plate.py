"""Read plates with an artefact of an ``ov-*`` target, without lprc: read_plate.py ARTEFACT IMAGE…

All that is known of the model stands in the artefact's ``deployment.json``.
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from PIL import Image

_REFUSED = {"resize": "stretch", "interpolation": "bilinear"}


def prepared(image: Image.Image, given: dict[str, Any]) -> np.ndarray:
    """An image as a batch of one.

    Args:
        image: Of any size and mode.
        given: The table ``image`` of ``deployment.json``.
    """
    grey = given["color"] == "GRAY"
    size = given["width"], given["height"]
    resized = image.convert("L" if grey else "RGB").resize(size, Image.Resampling.BILINEAR)
    values = np.asarray(resized).reshape(given["height"], given["width"], -1)
    if given["color"] == "BGR":
        values = values[:, :, ::-1]
    if given["dtype"] != "uint8":
        mean, scale = (np.asarray(given[key], np.float32) for key in ("mean", "scale"))
        values = (values.astype(np.float32) - mean) * scale
    if given["layout"] == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None], given["dtype"])


def spelt(output: np.ndarray, alphabet: list[str]) -> str:
    """The text of logits [classes, steps], or of codes [steps] with -1 behind the last."""
    if output.ndim == 1:
        return "".join(alphabet[code] for code in output if code >= 0)
    classes = [label for label, _ in groupby(output.argmax(axis=0)) if label < len(alphabet)]
    return "".join(alphabet[label] for label in classes)


def main(artefact: str, *images: str) -> None:
    """Print the text of each plate."""
    document = json.loads((Path(artefact) / "deployment.json").read_text(encoding="utf-8"))
    given = document["image"]
    if document["task"] != "plates" or any(given[key] != value for key, value in _REFUSED.items()):
        sys.exit(f"{artefact}: needs more than this example does: plates, stretched bilinearly")
    network = openvino.compile_model(Path(artefact) / "model.xml", "CPU")
    for name in images:
        output = network(prepared(Image.open(name), given))[0][0]
        print(name, spelt(output, document["output"]["alphabet"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
