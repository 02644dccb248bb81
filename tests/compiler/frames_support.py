"""Small networks that find fixed boxes and read what colour is in them, and pictures for them."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser
from PIL import Image

SIZE = (64, 48)

DETECTOR = """
<ir_version: 9, opset_import: ["" : 18]>
finder (float[N,3,48,64] image) => (float[N,3] scores, float[N,3,4] boxes, float[N,3,8] points)
<float[1,3] levels = {0.9, 0.6, 0.2}, float[1,3,4] sides = {4,4,20,12, 30,20,50,28, 2,30,40,46},
 float[1,3,8] corners = {4,6,20,4,20,10,4,12, 30,20,50,20,50,28,30,28, 2,30,40,30,40,46,2,46},
 int64[3] axes = {1,2,3}, float zero = {0}, int64[2] flat = {-1,1}, int64[3] deep = {-1,1,1}> {
    mean = ReduceMean <keepdims = 1> (image, axes)
    none = Mul(mean, zero)
    row = Reshape(none, flat)
    block = Reshape(none, deep)
    scores = Add(row, levels)
    boxes = Add(block, sides)
    points = Add(block, corners)
}
"""
"""Two things that are shown, of 16 x 8 and 20 x 8 pixels, and a weak one."""

READER = """
<ir_version: 9, opset_import: ["" : 18]>
reader (float[BATCH,3,4,8] image) => (float[BATCH,3,M] logits)
<float[1,3,1] factor = {8,8,8}, int64[3] shape = {0,3,-1}> {
    pooled = GlobalAveragePool(image)
    row = Reshape(pooled, shape)
    logits = Mul(row, factor)
}
"""
"""Reads R of what is red, G of what is green, and nothing of what is blue."""

DETECTOR_TASK = """
task = "detection"
[input]
width = 64
height = 48
color = "RGB"
scale = 0.00392157
[output]
classes = ["thing"]
head = "boxes"
scores = "scores"
boxes = "boxes"
landmarks = "points"
"""

READER_TASK = """
task = "plates"
[input]
width = 8
height = 4
color = "RGB"
scale = 0.00392157
[output]
alphabet = "RG"
"""

PIPELINE = """
[models.finder]
model = "finder.onnx"
task = "finder.toml"
[models.reader]
model = "reader.onnx"
task = "reader.toml"
[[edges]]
from = "finder"
to = "reader"
"""


def write_pipeline(folder: Path, more: str = "", batch: str = "N") -> Path:
    """The networks, their tasks and the file ``colours.toml``.

    Args:
        folder: Where to.
        more: Further keys of the edge.
        batch: Of the reader's input: a name leaves it free.
    """
    for name, text in (("finder", DETECTOR), ("reader", READER.replace("BATCH", batch))):
        onnx.save(onnx.parser.parse_model(text), folder / f"{name}.onnx")
    (folder / "finder.toml").write_text(DETECTOR_TASK, encoding="utf-8")
    (folder / "reader.toml").write_text(READER_TASK, encoding="utf-8")
    path = folder / "colours.toml"
    path.write_text(PIPELINE + more, encoding="utf-8")
    return path


def picture(first: str = "red", second: str = "lime") -> Image.Image:
    """A picture with a colour in each of the two boxes that are shown, on blue."""
    image = Image.new("RGB", SIZE, "blue")
    image.paste(first, (4, 4, 20, 12))
    image.paste(second, (30, 20, 50, 28))
    return image


def write_video(path: Path, frames: int = 10, rate: int = 10) -> None:
    """A video whose first box is red in even frames and green in odd ones."""
    import av
    import numpy as np

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"qp": "1"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv444p"
        for number in range(frames):
            pixels = np.asarray(picture("lime" if number % 2 else "red"))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
