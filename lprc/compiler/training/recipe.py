"""How to fine-tune: everything that decides the trained weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lprc.core.errors import UsageError

Loss = Literal["labels", "distillation", "both"]
Init = Literal["keep", "random", "rewind"]
Take = Literal["last", "best"]


@dataclass(frozen=True)
class Recipe:
    """The options of a run; a checkpoint is resumed under the same ones only.

    Attributes:
        loss: ``labels`` is the task's own loss, ``distillation`` from the teacher's
            outputs (Hinton et al., 2015; needs no labels), or the sum of both.
        steps: Of Adam (Kingma and Ba, ICLR 2015); its rate falls to zero along a cosine.
        batch: Samples of a step.
        rate: Adam's step size after the first 20 steps.
        temperature: Of both softmaxes in distillation.
        hints: Weight of the teacher's activations behind each Relu, where both networks have them
            (Romero et al., "FitNets", ICLR 2015).
        init: Where weights start: as they are; at random under the same zeros; or where they were
            early in training (Frankle and Carbin, "The Lottery Ticket Hypothesis", ICLR 2019).
        augment: Whether images are changed at random.
        update_statistics: Whether BatchNormalization follows the batches.
        hold_out: The part of the samples that is not trained on, but looked at.
        take: Whose weights are taken: those of the last step, which end an annealed schedule, or
            those of the least loss on what is held out, which is noise where that is little.
        evaluate_every: Steps between looks at the samples held out.
        patience: Looks without a better loss after which training ends; 0 for never.
        seed: Of the split, the order, the augmentation and random weights.
    """

    loss: Loss = "distillation"
    steps: int = 2000
    batch: int = 32
    rate: float = 1e-3
    temperature: float = 1.0
    hints: float = 3.0
    init: Init = "keep"
    augment: bool = True
    update_statistics: bool = False
    hold_out: float = 0.1
    take: Take = "last"
    evaluate_every: int = 100
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: One is out of its range.
        """
        for name in ("steps", "batch", "evaluate_every"):
            if getattr(self, name) < 1:
                raise _out_of_range(name, "at least 1")
        for name in ("rate", "temperature"):
            if not getattr(self, name) > 0:
                raise _out_of_range(name, "above 0")
        if self.hints < 0 or self.patience < 0:
            raise _out_of_range("hints and patience", "at least 0")
        if not 0 <= self.hold_out < 1:
            raise _out_of_range("hold_out", "at least 0 and below 1")

    @property
    def distils(self) -> bool:
        """Whether a teacher is needed."""
        return self.loss != "labels"

    @property
    def reads_labels(self) -> bool:
        """Whether labels are needed."""
        return self.loss != "distillation"


def _out_of_range(name: str, wanted: str) -> UsageError:
    return UsageError(f"must be {wanted}", where=f"--{name.replace('_', '-')}")
