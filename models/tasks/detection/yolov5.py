"""YOLOv5's head: boxes from anchors, and a score of whether there is anything.

Ultralytics' YOLOv5; YOLOv7 has the same, and YOLOX's output the same form where it is decoded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lprc.core.tasks.points import prior_boxes
from lprc.models.tasks.detection.decoded import in_pixels
from lprc.models.tasks.detection.raw import Candidates, Raw, activated


def decode_yolov5(raw: Raw) -> Candidates:
    """[N, K, 5 + classes] decoded, or raw maps of each level.

    A row is centre, size, objectness and the classes' scores; a score is the product.
    """
    channels = 5 + raw.score_channels
    decoded = decoded_output(raw)
    if decoded is None:
        rows = raw.needed("boxes", channels, len(raw.settings.anchors[0]))
        boxes = _from_anchors(raw, rows)
        scores = activated(rows[..., 4:], raw.settings.activation or "sigmoid")
    else:
        whole = raw.outputs[decoded].astype(np.float32)
        whole = whole if whole.shape[2] == channels else whole.transpose(0, 2, 1)
        boxes = in_pixels(raw, whole[..., :4])
        scores = activated(whole[..., 4:], raw.settings.activation or "none")
    return Candidates(boxes, raw.without_background(scores[..., 1:]) * scores[..., :1])


def decoded_output(raw: Raw) -> str | None:
    """The output whose boxes the graph has decoded; None where there are raw maps alone.

    Ultralytics' export may have raw maps beside it, which do not count then.
    """
    channels = 5 + raw.score_channels
    names = raw.settings.boxes or tuple(raw.outputs)
    decoded = (
        name
        for name, array in zip(names, raw.named(names), strict=True)
        if array.ndim == 3 and channels in array.shape[1:]
    )
    return next(decoded, None)


def _from_anchors(raw: Raw, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    priors, steps = prior_boxes(raw.size, raw.settings.strides, raw.settings.anchors)
    raw.check_cells(rows, len(priors))
    placed = 2 * activated(rows[..., :4], "sigmoid")
    centres = priors[:, :2] + (placed[..., :2] - 1) * steps
    halves = placed[..., 2:] ** 2 * priors[:, 2:] / 2
    return np.concatenate([centres - halves, centres + halves], axis=-1)
