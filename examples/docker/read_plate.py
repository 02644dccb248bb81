"""Read plates with an artefact of ``--target ov-int8``, without lprc: read_plate.py MODEL IMAGE…"""

from __future__ import annotations

import sys
from itertools import groupby

import numpy as np
import openvino
from PIL import Image

ALPHABET = (
    "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"  # models/synthetic.toml; the blank is the class behind
)


def main(model: str, *images: str) -> None:
    """Print the text of each plate."""
    network = openvino.compile_model(model, "CPU")
    for name in images:
        image = Image.open(name).convert("RGB").resize((94, 24), Image.Resampling.BILINEAR)
        bgr = np.asarray(image, np.float32)[:, :, ::-1]
        pixels = ((bgr - 127.5) * 0.0078125).transpose(2, 0, 1)[None]
        best = network(np.ascontiguousarray(pixels))[0][0].argmax(axis=0)
        classes = [each for each, _ in groupby(best) if each < len(ALPHABET)]
        print(name, "".join(ALPHABET[each] for each in classes))


if __name__ == "__main__":
    main(*sys.argv[1:])
