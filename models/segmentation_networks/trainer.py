"""A network of pixels in training: optimiser steps, evaluation, checkpoints that resume exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lprc.core.errors import DataError
from lprc.models.segmentation_networks.networks import network
from lprc.models.segmentation_networks.scenes import Scene
from lprc.models.tasks.mask_augmentation import Strength, augmented
from lprc.models.tasks.segmentation import Segmentation
from lprc.models.training_state import check_same_run, load_state, save_state

_WARM_UP = 0.05
_FINAL_RATE = 0.01
_LARGEST_GRADIENT = 5.0


@dataclass(frozen=True)
class SegmentationOptions:
    """The options that decide the trained weights; a checkpoint resumes only under the same.

    Attributes:
        network: As of `network`.
        width: As of `network`.
        steps: Optimiser steps; the cosine schedule is as long.
        batch_size: Images in a step.
        held_out: Share of the images that the best weights are chosen by.
        crop: Part of the input's width and height that a training image has.
        seed: Decides weights, what is held out, order and augmentation.
        learning_rate: Peak of the schedule.
        weight_decay: AdamW's, of the Convs' weights.
        precision: ``float32``, or ``bfloat16`` for mixed precision.
        device: ``cpu`` or ``cuda``.
    """

    network: str
    width: float = 1.0
    steps: int = 3000
    batch_size: int = 8
    held_out: float = 0.1
    crop: float = 1.0
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    precision: str = "float32"
    device: str = "cpu"

    def batch_at(self, step: int, count: int) -> NDArray[np.int64]:
        """Which of `count` images `step` takes: each pass over them has an order of its own."""
        size = min(self.batch_size, count)
        steps_a_pass = count // size
        generator = np.random.default_rng([self.seed, step // steps_a_pass])
        start = step % steps_a_pass * size
        return generator.permutation(count)[start : start + size]

    def rate_at(self, step: int) -> float:
        """The learning rate: linear up, then a cosine down to a hundredth."""
        warm_up = max(1, round(_WARM_UP * self.steps))
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        progress = (step - warm_up) / max(1, self.steps - warm_up)
        fall = (1 + math.cos(math.pi * progress)) / 2
        return self.learning_rate * (_FINAL_RATE + (1 - _FINAL_RATE) * fall)


class SegmentationTrainer:
    """The network and its optimiser, at some step."""

    def __init__(self, options: SegmentationOptions, task: Segmentation) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.task = task
        self.step = 0
        self.best = 0.0
        self.strength = Strength(crop=options.crop)
        self.model = network(options.network, len(task.classes), options.width).to(options.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        free = [p for p in self.model.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=options.learning_rate, weight_decay=options.weight_decay
        )

    def _predict(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """The scores, float32 [n, classes, height, width], of images as `Scene` has them."""
        arrays = np.stack([self.task.input.normalized(image) for image in images])
        batch = torch.from_numpy(arrays).to(self.options.device)
        mixed = self.options.precision == "bfloat16"
        with torch.autocast(torch.device(self.options.device).type, torch.bfloat16, enabled=mixed):
            scores = self.model(batch.contiguous(memory_format=torch.channels_last))
        return scores.float()  # type: ignore[no-any-return]

    def train_step(self, scenes: Sequence[Scene]) -> float:
        """Take one optimiser step and return its loss.

        Raises:
            DataError: The loss is not finite.
        """
        generator = np.random.default_rng([self.options.seed, 1, self.step])
        pairs = [
            augmented(scenes[index].image, scenes[index].mask, self.strength, generator)
            for index in self.options.batch_at(self.step, len(scenes))
        ]
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate_at(self.step)
        self.model.train()
        scores = self._predict([image for image, _ in pairs])
        loss = self.task.loss({"logits": scores}, [mask for _, mask in pairs])
        if not torch.isfinite(loss):
            raise DataError(
                f"the training loss is {loss.item()} at step {self.step}",
                where="--learning-rate",
                hint="lower it, or look for masks that show only the ignored class",
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def score(self, scenes: Sequence[Scene]) -> float:
        """The mean IoU of scenes, as the task has it."""
        self.model.eval()
        records = []
        size = self.options.batch_size
        with torch.inference_mode():
            for start in range(0, len(scenes), size):
                window = scenes[start : start + size]
                scores = self._predict([scene.image for scene in window]).cpu().numpy()
                answers = self.task.answers({"logits": scores}, [scene.place for scene in window])
                records += [
                    self.task.judge(answer, scene.truth)
                    for answer, scene in zip(answers, window, strict=True)
                ]
        return self.task.combine(records)

    def save(self, path: Path) -> None:
        """Write everything that an identical continuation needs; never half a file."""
        save_state(
            path,
            {
                "options": {**vars(self.options), "classes": list(self.task.classes)},
                "step": self.step,
                "best": self.best,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
        )

    def load(self, path: Path) -> None:
        """Continue from `path`.

        Raises:
            DataError: Not a checkpoint of `save`, or one of other options or classes.
        """
        state = load_state(path, self.options.device)
        ours = {**vars(self.options), "classes": list(self.task.classes)}
        check_same_run(state["options"], ours, path)
        self.step, self.best = state["step"], state["best"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
