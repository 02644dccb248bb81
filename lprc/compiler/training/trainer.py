"""The loop: batches, steps, looks at what is held out."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lprc.compiler.training import checkpoint
from lprc.compiler.training.augment import Augmentation, augment
from lprc.compiler.training.graph_module import GraphModule
from lprc.compiler.training.objective import Objective
from lprc.compiler.training.recipe import Recipe
from lprc.compiler.training.training_set import Images, Samples, Split
from lprc.core.torch_graph.steps import Tensors, best_layout

_WARM_UP = 20
"""Steps until the rate is full: Adam's first steps are as large as any."""


@dataclass(frozen=True)
class Look:
    """What was seen at a step.

    Attributes:
        step: Steps taken.
        loss: A mean of the training losses since the last look; NaN before training.
        held_out: The loss on the samples held out, not augmented; None if there are none.
    """

    step: int
    loss: float
    held_out: float | None


@dataclass
class _State:
    """What a checkpoint holds besides torch's own states."""

    step: int = 0
    best: float = math.inf
    best_step: int = 0
    looks: list[Look] = field(default_factory=list)


class Trainer:
    """A student, and a teacher where there is one.

    Args:
        student: Its weights are trained.
        teacher: In evaluation mode; None without distillation.
        samples: What to train on.
        recipe: How.
        objective: What to make small.
        network: The student's graph before training, which a checkpoint belongs to.
        device: Where to compute.
    """

    def __init__(
        self,
        student: GraphModule,
        teacher: GraphModule | None,
        samples: Samples,
        recipe: Recipe,
        objective: Objective,
        *,
        network: bytes,
        device: torch.device,
    ) -> None:
        self.student, self.teacher = student, teacher
        self._samples, self._recipe, self._objective = samples, recipe, objective
        self._network, self._device = network, device
        self._split = Split.of(len(samples), recipe.hold_out, recipe.seed)
        self._generator = torch.Generator().manual_seed(recipe.seed)
        for module in (student, teacher):
            if module is not None:
                module.to_device(device)
        # foreach and fused variants differ between machines in the last bits.
        self._adam = torch.optim.Adam(student.parameters(), lr=recipe.rate, foreach=False)
        self._state = _State()
        self._best = self._weights()

    @property
    def looks(self) -> list[Look]:
        """What was seen so far, from before the first step on."""
        return self._state.looks

    @property
    def taken_step(self) -> int:
        """After which step the weights were taken."""
        return self._state.best_step if self._takes_best else self._state.step

    @property
    def _takes_best(self) -> bool:
        return self._recipe.take == "best" and bool(self._split.held_out)

    def run(
        self, *, keep: Path | None = None, progress: Callable[[float, int], None] | None = None
    ) -> None:
        """Train to the end, and leave the weights to take in the student.

        Args:
            keep: Where to write a checkpoint at each look; None for nowhere.
            progress: Called with the steps taken and their number.

        Raises:
            DataError: A sample that can't be read, or a loss that is not finite.
        """
        recipe, losses = self._recipe, []
        if not self._state.looks:
            self._look(math.nan)
        for indices in self._batches():
            losses.append(self._step(indices))
            if progress is not None:
                progress(self._state.step, recipe.steps)
            if self._state.step % recipe.evaluate_every and self._state.step < recipe.steps:
                continue
            self._look(sum(losses) / len(losses))
            losses = []
            if keep is not None:
                checkpoint.save(keep, recipe, self._network, self._document())
            if self._is_stuck():
                break
        if self._takes_best:
            with torch.no_grad():
                for name, tensor in self._best.items():
                    self._weights()[name].copy_(tensor)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            DataError: Not one, or one of another run.
        """
        saved = checkpoint.load(path, self._recipe, self._network, self._device)
        with torch.no_grad():
            for name, tensor in self._weights().items():
                tensor.copy_(saved["weights"][name])
        self._best = saved["best_weights"]
        self._adam.load_state_dict(saved["adam"])
        self._generator.set_state(saved["generator"].cpu())
        looks = [Look(int(step), loss, held) for step, loss, held in saved["looks"]]
        self._state = _State(saved["step"], saved["best"], saved["best_step"], looks)

    def _document(self) -> dict[str, Any]:
        state = self._state
        return {
            "step": state.step,
            "best": state.best,
            "best_step": state.best_step,
            "looks": [[look.step, look.loss, look.held_out] for look in state.looks],
            "weights": self._weights(),
            "best_weights": self._best,
            "adam": self._adam.state_dict(),
            "generator": self._generator.get_state(),
        }

    def _weights(self) -> Tensors:
        """Parameters and running statistics; not copies."""
        return {**dict(self.student.named_parameters()), **self.student.statistics}

    def _batches(self) -> Iterator[list[int]]:
        """The samples of each step left: random, each once before any comes again."""
        trained = self._split.trained
        while self._state.step < self._recipe.steps:
            size = self._recipe.batch
            order: list[int] = []
            while len(order) < size:
                order += torch.randperm(len(trained), generator=self._generator).tolist()
            yield [trained[index] for index in order[:size]]

    def _step(self, indices: Sequence[int]) -> float:
        recipe, step = self._recipe, self._state.step
        warm = min(1.0, (step + 1) / _WARM_UP)
        rate = recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in self._adam.param_groups:
            group["lr"] = rate
        self.student.train()
        loss = self._loss(indices, augmented=recipe.augment)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self.student.clamp_zeros()
        self._state.step += 1
        return float(loss.detach())

    def _loss(self, indices: Sequence[int], *, augmented: bool) -> torch.Tensor:
        inputs, labels = self._batch(indices, augmented=augmented)
        inputs = {name: best_layout(tensor.to(self._device)) for name, tensor in inputs.items()}
        training = self.student.training
        keep = tuple(hint.name for hint in self._objective.hints) if training else ()
        wanted = None
        if self.teacher is not None:
            with torch.no_grad():
                wanted = self.teacher(inputs, keep)
        return self._objective(self.student(inputs, keep), wanted, labels)

    def _batch(
        self, indices: Sequence[int], *, augmented: bool
    ) -> tuple[Tensors, Sequence[Any] | None]:
        """Inputs, and the labels where they are read."""
        samples, recipe = self._samples, self._recipe
        all_labels = samples.labels if recipe.reads_labels else None
        if augmented and all_labels is not None and isinstance(samples, Images):
            # Anew for each step, so that a resumed run goes on as it would have.
            generator = np.random.default_rng([recipe.seed, self._state.step])
            moved = samples.moved_batch(indices, generator)
            if moved is not None:
                return moved
        inputs = samples.batch(indices)
        if augmented:
            inputs = self._augmented(inputs)
        return inputs, None if all_labels is None else [all_labels[index] for index in indices]

    def _augmented(self, inputs: Tensors) -> Tensors:
        samples = self._samples
        if not isinstance(samples, Images):
            return inputs
        how, (low, high) = Augmentation(), samples.range
        if self._recipe.reads_labels:
            how = how.without_motion() if samples.task.is_placed else how.without_splices()
        changed = augment(inputs[samples.input], how, self._generator, low=low, high=high)
        return {**inputs, samples.input: changed}

    def _look(self, loss: float) -> None:
        """Judge the weights as they are now, and keep them if they are the best."""
        state, held = self._state, self._held_out_loss()
        state.looks.append(Look(state.step, loss, held))
        if held is None or held < state.best:
            state.best, state.best_step = (math.inf if held is None else held), state.step
            self._best = copy.deepcopy({k: v.detach() for k, v in self._weights().items()})

    def _held_out_loss(self) -> float | None:
        chosen, size = self._split.held_out, self._recipe.batch
        if not chosen:
            return None
        total = 0.0
        with self._evaluating():
            for start in range(0, len(chosen), size):
                part = chosen[start : start + size]
                total += float(self._loss(part, augmented=False)) * len(part)
        return total / len(chosen)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        self.student.eval()
        with torch.no_grad():
            yield
        self.student.train()

    def _is_stuck(self) -> bool:
        recipe, state = self._recipe, self._state
        waited = sum(look.step > state.best_step for look in state.looks)
        return bool(recipe.patience and recipe.hold_out and waited >= recipe.patience)
