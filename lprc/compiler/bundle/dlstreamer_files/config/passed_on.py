"""For gvapython: the boxes that a detector passes on to what reads them."""

from collections.abc import Sequence
from typing import Any


class PassedOn:
    """Keeps the best boxes that are large enough, and widens them.

    Args:
        margin: Of a box's width and height, added on each side.
        min_size: Least width and height in pixels.
        top_k: How many boxes of a frame are kept.
    """

    def __init__(self, margin: Sequence[float], min_size: Sequence[int], top_k: int) -> None:
        self.margin = margin
        self.min_size = min_size
        self.top_k = top_k

    def process_frame(self, frame: Any) -> bool:
        """Replace a frame's regions; the frame goes on.

        Args:
            frame: A ``gstgva.VideoFrame``.
        """
        regions = sorted(frame.regions(), key=lambda region: -region.confidence())
        boxes = [
            (region.rect(), region.label(), region.confidence())
            for region in regions
            if region.rect().w >= self.min_size[0] and region.rect().h >= self.min_size[1]
        ]
        for region in regions:
            frame.remove_region(region)
        info = frame.video_info()
        for rect, label, confidence in boxes[: self.top_k]:
            across, down = self.margin[0] * rect.w, self.margin[1] * rect.h
            left, top = max(0, rect.x - across), max(0, rect.y - down)
            right = min(info.width, rect.x + rect.w + across)
            bottom = min(info.height, rect.y + rect.h + down)
            frame.add_region(
                round(left), round(top), round(right - left), round(bottom - top), label, confidence
            )
        return True
