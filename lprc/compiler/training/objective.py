"""What training makes small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from lprc.compiler.training.hints import Hint
from lprc.compiler.training.recipe import Recipe
from lprc.core.errors import DataError
from lprc.core.tasks.task import Task

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """The loss of a batch.

    Attributes:
        recipe: Which parts it has.
        outputs: The network's outputs.
        hints: Activations that both networks have.
        task: Whose loss is taken, where labels are read.
    """

    recipe: Recipe
    outputs: tuple[str, ...]
    hints: tuple[Hint, ...] = ()
    task: Task | None = None

    def __call__(
        self, given: Tensors, wanted: Tensors | None, labels: Sequence[Any] | None
    ) -> torch.Tensor:
        """The loss.

        Args:
            given: The student's outputs and hints.
            wanted: The teacher's; None without distillation.
            labels: What the task calls the truth of each sample; None without labels.

        Raises:
            DataError: A label that is too long for the network, or a loss that is not finite.
        """
        parts = []
        if wanted is not None:
            temperature = self.recipe.temperature
            parts += [divergence(given[name], wanted[name], temperature) for name in self.outputs]
            if self.hints and all(hint.name in given for hint in self.hints):
                errors = [relative_error(*hint.pair(given, wanted)) for hint in self.hints]
                parts.append(self.recipe.hints * torch.stack(errors).mean())
        if labels is not None:
            assert self.task is not None
            named = {name: given[name] for name in self.outputs}
            parts.append(self.task.loss(named, labels))
        loss = torch.stack(parts).sum()
        if not torch.isfinite(loss):
            raise DataError(
                f"the training loss is {loss.item()}",
                where="lprc finetune",
                hint="lower --rate",
            )
        return loss


def divergence(given: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence of softmax over axis 1, a mean over the other axes.

    A tensor of one axis, or with one class, has no softmax; there it is the relative error.
    """
    if given.dim() < 2 or given.shape[1] == 1:
        return relative_error(given, wanted)
    total = functional.kl_div(
        functional.log_softmax(given / temperature, dim=1),
        functional.log_softmax(wanted / temperature, dim=1),
        log_target=True,
        reduction="sum",
    )
    return total * (temperature**2 * given.shape[1] / given.numel())


def relative_error(given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The mean square of the difference in parts of what is wanted."""
    return functional.mse_loss(given, wanted) / (wanted.square().mean() + 1e-12)
