"""What training makes small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from lprc.compiler.training.hints import Hint
from lprc.compiler.training.recipe import Recipe
from lprc.core.errors import DataError
from lprc.models.plate_config import PlateConfig

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """The loss of a batch.

    Attributes:
        recipe: Which parts it has.
        outputs: The network's outputs.
        hints: Activations that both networks have.
        config: The alphabet, where labels are read.
    """

    recipe: Recipe
    outputs: tuple[str, ...]
    hints: tuple[Hint, ...] = ()
    config: PlateConfig | None = None

    def __call__(
        self, given: Tensors, wanted: Tensors | None, labels: Sequence[str] | None
    ) -> torch.Tensor:
        """The loss.

        Args:
            given: The student's outputs and hints.
            wanted: The teacher's; None without distillation.
            labels: The texts on the plates; None without labels.

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
            assert self.config is not None
            parts.append(ctc(given[self.outputs[0]], labels, self.config))
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


def ctc(logits: torch.Tensor, labels: Sequence[str], config: PlateConfig) -> torch.Tensor:
    """Connectionist temporal classification a character (Graves et al., ICML 2006).

    Args:
        logits: float32 [n, classes, steps].
        labels: n texts.
        config: Its alphabet gives the classes; the blank is the last.

    Raises:
        DataError: A label longer than there are steps.
    """
    steps = logits.shape[2]
    longest = max(labels, key=len)
    if len(longest) > steps:
        raise DataError(f"label '{longest}' is longer than the network's {steps} steps")
    classes = {character: index for index, character in enumerate(config.alphabet)}
    flat = torch.tensor([classes[letter] for label in labels for letter in label])
    lengths = torch.tensor([len(label) for label in labels])
    return functional.ctc_loss(
        functional.log_softmax(logits, dim=1).permute(2, 0, 1),
        flat.to(logits.device),
        torch.full((len(labels),), steps, dtype=torch.int64),
        lengths,
        blank=config.blank,
    )
