"""The plate detector in training: optimiser steps, averaged weights, evaluation."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lprc.core.errors import DataError
from lprc.core.tasks.score import Score
from lprc.models.plate_detector.augmentation import Batch, Strength, augmented
from lprc.models.plate_detector.evaluation import score_pool
from lprc.models.plate_detector.losses import DetectorLoss, detector_loss
from lprc.models.plate_detector.network import DeployedDetector, PlateDetector, grid_points
from lprc.models.plate_detector.picture_pool import PicturePool

_WARM_UP = 0.03
_FINAL_RATE = 0.01
_CALM_FROM = 0.85
"""From this part of the training on augmentation is mild: the pictures that are deployed to."""

_CALM = Strength(zoom=0.12, cut=0.0, colour=0.4)
_TRIAL_STEPS = 6


@dataclass(frozen=True)
class DetectorOptions:
    """The options of a training.

    Attributes:
        batch_size: Pictures in a step.
        frame_share: Part of each batch that is drawn from the photographs.
        learning_rate: Peak of the cosine schedule.
        weight_decay: AdamW's, of the Convs' weights.
        averaging: Decay of the exponential moving average of the weights.
        width: As of `PlateDetector`.
        height_pixels: Of the network's input.
        width_pixels: Of the network's input.
        seed: Decides weights and augmentation.
        device: ``cpu`` or ``cuda``.
    """

    batch_size: int = 64
    frame_share: float = 0.35
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    averaging: float = 0.9993
    width: float = 1.0
    height_pixels: int = 384
    width_pixels: int = 640
    seed: int = 1
    device: str = "cpu"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input in pixels."""
        return self.height_pixels, self.width_pixels


class DetectorTrainer:
    """The network, its optimiser and its average, at some point of the training."""

    def __init__(self, options: DetectorOptions) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.step = 0
        self.strength = Strength()
        self.model = PlateDetector(options.width).to(options.device)
        self.average = PlateDetector(options.width).to(options.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        self.deployed = DeployedDetector(self.average, *options.size).to(options.device)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        free = [p for p in self.model.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=options.learning_rate, weight_decay=options.weight_decay
        )
        points, strides = grid_points(*options.size)
        self._points, self._strides = points.to(options.device), strides.to(options.device)
        self._use_form(torch.contiguous_format, False)

    def choose_form(self) -> dict[str, float]:
        """Time a few steps in each layout and precision, keep the fastest; seconds a step by name.

        On a CPU nothing is timed: float32, channels last.
        """
        forms = {
            "bfloat16, channels last": (torch.channels_last, True),
            "bfloat16, channels first": (torch.contiguous_format, True),
            "float32, channels first": (torch.contiguous_format, False),
        }
        if self.options.device == "cpu":
            self._use_form(torch.channels_last, False)
            return {}
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = True
        images = torch.randn(self.options.batch_size, 3, *self.options.size, device="cuda")
        seconds = {}
        for name, form in forms.items():
            self._use_form(*form)
            for step in range(2 * _TRIAL_STEPS):
                if step == _TRIAL_STEPS:
                    torch.cuda.synchronize()
                    start = time.perf_counter()
                logits, distances = self._predict(images)
                trial = logits.float().mean() + distances.float().mean()
                trial.backward()  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
            seconds[name] = (time.perf_counter() - start) / _TRIAL_STEPS
        self._use_form(*forms[min(seconds, key=seconds.__getitem__)])
        # The trial changed the running statistics of the normalisations and left gradients.
        self.model.load_state_dict(self.average.state_dict())
        self.optimizer.zero_grad(set_to_none=True)
        return seconds

    def _use_form(self, memory_format: torch.memory_format, mixed: bool) -> None:
        self._memory_format, self._mixed = memory_format, mixed
        for network in (self.model, self.average):
            network.to(memory_format=memory_format)  # type: ignore[call-overload]
        states = (self.average.state_dict(), self.model.state_dict())
        floats = [name for name, value in states[0].items() if value.is_floating_point()]
        self._averages, self._weights = ([state[name] for name in floats] for state in states)

    def _predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.options.device, torch.bfloat16, enabled=self._mixed):
            logits, distances = self.model(images.contiguous(memory_format=self._memory_format))
        return logits, distances

    def batch(self, frames: PicturePool | None, scenes: PicturePool | None) -> Batch:
        """Draw a batch from the pools and augment it."""
        count = self.options.batch_size
        from_frames = 0
        if frames is not None:
            from_frames = count if scenes is None else round(count * self.options.frame_share)
        parts = []
        for pool, share in ((frames, from_frames), (scenes, count - from_frames)):
            if pool is not None and share:
                parts.append(pool.sample(share))
        images, boxes, present = (torch.cat(columns) for columns in zip(*parts, strict=True))
        # A window is put into the next picture: neighbours are to be of both kinds.
        order = torch.randperm(count, device=images.device)
        return augmented(
            images[order], boxes[order], present[order], self.options.size, self.strength
        )

    def train_step(self, batch: Batch, progress: float) -> DetectorLoss:
        """Take one optimiser step and return its loss, still on the device.

        Args:
            batch: What to learn from.
            progress: How much of the training is over, 0 to 1; it decides the rate.
        """
        rate = self.options.learning_rate * _rate_at(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        logits, distances = self._predict(batch.images)
        loss = detector_loss(
            logits, distances, self._points, self._strides, batch.boxes, batch.present
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        self.step += 1
        self._follow()
        if progress >= _CALM_FROM:
            self.strength = _CALM
        return loss

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow the weights, at first closely."""
        decay = min(self.options.averaging, (1 + self.step) / (20 + self.step))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    def score(self, pool: PicturePool) -> Score:
        """The average precision of the averaged weights, in float32; see `score_pool`."""
        return score_pool(self.deployed, pool, self.options.size)

    def save(self, path: Path) -> None:
        """Write the averaged weights, a state dict on the CPU; never half a file.

        Raises:
            DataError: A weight is not finite.
        """
        state = {name: value.cpu() for name, value in self.average.state_dict().items()}
        if not all(value.isfinite().all() for value in state.values()):
            raise DataError(
                f"the training diverged before step {self.step}", hint="lower --learning-rate"
            )
        unfinished = path.with_suffix(".tmp")
        torch.save(state, unfinished)
        unfinished.replace(path)


def _rate_at(progress: float) -> float:
    """Return the part of the peak rate: a linear warm-up, then a half cosine."""
    if progress < _WARM_UP:
        return max(progress / _WARM_UP, 0.01)
    fallen = min(1.0, (progress - _WARM_UP) / (1 - _WARM_UP))
    return _FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * fallen)) / 2
