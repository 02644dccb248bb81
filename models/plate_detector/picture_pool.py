"""Pictures on the training device, and the processes that go on drawing scenes for it."""

from __future__ import annotations

import mmap
import multiprocessing
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from lprc.core.errors import DataError
from lprc.models.plate_detector.scene_background import SCENE_SIZE
from lprc.models.plate_detector.scenes import Scene, frame_scene, street_scene

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, ForkProcess

    from numpy.typing import NDArray

MOST_BOXES = 12
"""Columns of a pool's boxes; a picture with more keeps the first."""

_CHUNK = 16
_WAIT_SECONDS = 120.0


Kind = Literal["street", "frame"]


@dataclass(frozen=True)
class Order:
    """One scene to draw: a whole one, or plates added to a frame."""

    kind: Kind
    index: int
    seed: int


class PicturePool:
    """Room for pictures on a device, filled from the front.

    Attributes:
        images: uint8 [capacity, 3, 360, 640], RGB.
        boxes: float32 [capacity, `MOST_BOXES`, 4], padded.
        present: bool [capacity, `MOST_BOXES`]: which boxes are no padding.
        filled: How many pictures are there.
    """

    def __init__(self, capacity: int, device: str) -> None:
        width, height = SCENE_SIZE
        self.images = torch.empty(capacity, 3, height, width, dtype=torch.uint8, device=device)
        self.boxes = torch.zeros(capacity, MOST_BOXES, 4, device=device)
        self.present = torch.zeros(capacity, MOST_BOXES, dtype=torch.bool, device=device)
        self.filled = 0

    def add(self, images: NDArray[np.uint8], boxes: Sequence[NDArray[np.float32]]) -> None:
        """Append pictures, uint8 [n, 360, 640, 3], and the boxes of each, float32 [plates, 4]."""
        padded = np.zeros((len(images), MOST_BOXES, 4), np.float32)
        counts = [min(len(plates), MOST_BOXES) for plates in boxes]
        for row, plates, count in zip(padded, boxes, counts, strict=True):
            row[:count] = plates[:count]
        window = slice(self.filled, self.filled + len(images))
        self.images[window] = torch.from_numpy(images).to(self.images.device).permute(0, 3, 1, 2)
        self.boxes[window] = torch.from_numpy(padded).to(self.boxes.device)
        present = np.arange(MOST_BOXES) < np.array(counts)[:, None]
        self.present[window] = torch.from_numpy(present).to(self.present.device)
        self.filled += len(images)

    def add_scenes(self, scenes: Sequence[Scene]) -> None:
        """Append ``scenes``."""
        for start in range(0, len(scenes), 64):
            part = scenes[start : start + 64]
            self.add(np.stack([scene.image for scene in part]), [scene.boxes for scene in part])

    def sample(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``count`` pictures chosen at random, their boxes and which are present."""
        chosen = torch.randint(self.filled, (count,), device=self.images.device)
        return self.images[chosen], self.boxes[chosen], self.present[chosen]


class SceneDrawers:
    """Processes that draw scenes in the order of ``orders`` into memory that all share.

    Forked: they neither import nor copy anything again. Start them before the device is used.
    """

    def __init__(self, orders: Sequence[Order], frames: Sequence[Scene], workers: int) -> None:
        width, height = SCENE_SIZE
        context: ForkContext = multiprocessing.get_context("fork")
        self._orders, self._frames = orders, frames
        memory = mmap.mmap(-1, len(orders) * width * height * 3)
        self._images = np.frombuffer(memory, np.uint8).reshape(len(orders), height, width, 3)
        self._next = context.Value("q", 0)
        self._finished = context.Queue()
        self._processes: list[ForkProcess] = [
            context.Process(target=self._draw, daemon=True) for _ in range(workers)
        ]
        self._received = 0
        for process in self._processes:
            process.start()

    def _draw(self) -> None:
        torch.set_num_threads(1)
        while True:
            with self._next.get_lock():
                start = self._next.value
                self._next.value += _CHUNK
            if start >= len(self._orders):
                return
            orders = self._orders[start : start + _CHUNK]
            try:
                scenes = [self._scene(order) for order in orders]
            except Exception as error:  # noqa: BLE001  every error is the parent's to raise
                self._finished.put((start, repr(error)))
                return
            self._images[start : start + len(scenes)] = [scene.image for scene in scenes]
            self._finished.put((start, [scene.boxes for scene in scenes]))

    def _scene(self, order: Order) -> Scene:
        if order.kind == "street":
            return street_scene(order.index, order.seed)
        return frame_scene(
            self._frames[order.index // 3 % len(self._frames)], order.index, order.seed
        )

    @property
    def done(self) -> bool:
        """Whether every scene was received."""
        return self._received >= len(self._orders)

    def receive(self, pools: Sequence[tuple[int, PicturePool]], *, wait: bool) -> bool:
        """Move one finished chunk into the pool that it belongs to; return whether there was one.

        Args:
            pools: For each pool the number of the first order that is not for it, rising.
            wait: Whether to wait for a chunk rather than to return at once.

        Raises:
            DataError: A scene can't be drawn, or none was finished for long.
        """
        if self.done:
            return False
        try:
            start, boxes = self._finished.get(timeout=_WAIT_SECONDS if wait else 0)
        except queue.Empty:
            if wait:
                raise DataError(f"no scene was drawn for {_WAIT_SECONDS:.0f} s") from None
            return False
        if isinstance(boxes, str):
            raise DataError(f"a scene can't be drawn: {boxes}", where=f"scene {start} and later")
        images = self._images[start : start + len(boxes)]
        first = start
        for end, pool in pools:
            count = max(0, min(end, start + len(boxes)) - first)
            if count:
                part = slice(first - start, first - start + count)
                pool.add(images[part], boxes[part])
                first += count
        self._received += len(boxes)
        return True

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
