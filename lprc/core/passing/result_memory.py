"""What the manager asks of a memory of earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import onnx_ir as ir

from lprc.core.passing.pass_base import Pass, Rewrite, Skip
from lprc.core.running.numerics import Arrays


@dataclass(frozen=True)
class Remembered:
    """What a pass did when it ran on the same model with the same options and data."""

    rewrites: tuple[Rewrite, ...]
    skips: tuple[Skip, ...]


class PassMemory(Protocol):
    """Knows what passes did before; the manager runs only those that it does not know.

    Consecutive passes that are known leave the model behind: `catch_up` brings it along.
    """

    def start(self, model: ir.Model, calibration: Sequence[Arrays]) -> None:
        """Begin a pipeline on `model`."""

    def translate(self, calibration: Sequence[Arrays]) -> None:
        """The samples from here on: a pass changed what the model takes."""

    def recall(self, item: Pass) -> Remembered | None:
        """What `item` did on the model as it would be now; None where that is not known."""

    def catch_up(self, model: ir.Model) -> None:
        """Make `model` what the last recalled pass left."""

    def keep(self, model: ir.Model, item: Pass, what: Remembered) -> None:
        """Remember what `item`, the last that ran, did; `model` is what it left."""
