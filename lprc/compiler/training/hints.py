"""Activations that both networks have, and which channel of one is which of the other."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lprc.compiler.training.graph_module import GraphModule
from lprc.compiler.training.training_set import Samples
from lprc.core.torch_graph.steps import Tensors

_SAMPLES = 16
_POSITIONS = 20_000
_ALIKE = 0.3
"""The correlation from which two channels may be the same one."""


@dataclass(frozen=True)
class Hint:
    """What a Relu puts out in both networks under one name.

    Attributes:
        name: Of the activation.
        ours: Channels of the student, int64 [n]; None for all, in the teacher's order.
        theirs: The teacher's channels that those are, int64 [n].
    """

    name: str
    ours: torch.Tensor | None = None
    theirs: torch.Tensor | None = None

    def pair(self, given: Tensors, wanted: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """The student's and the teacher's activation, channel by channel."""
        student, teacher = given[self.name], wanted[self.name]
        if self.ours is None or self.theirs is None:
            return student, teacher
        place = student.device
        ours, theirs = self.ours.to(place), self.theirs.to(place)
        return student.index_select(1, ours), teacher.index_select(1, theirs)


def find_hints(student: GraphModule, teacher: GraphModule, samples: Samples) -> tuple[Hint, ...]:
    """The activations behind Relus of one name and one shape, with their channels matched.

    Passes may have permuted channels, so channels are matched by their correlation over some
    samples; one that never changes, or is like none of the teacher's, is left out.
    """
    names = tuple(name for name in student.activations if name in teacher.activations)
    inputs = samples.batch(range(min(_SAMPLES, len(samples))))
    with torch.no_grad():
        ours, theirs = student.eval()(inputs, names), teacher(inputs, names)
    hints = []
    for name in names:
        if ours[name].shape != theirs[name].shape or ours[name].dim() < 2:
            continue
        correlation = _correlation(ours[name], theirs[name])
        varying = correlation.amax(dim=1) >= _ALIKE
        same = correlation.argmax(dim=1) == torch.arange(len(correlation))
        if bool(same[varying].float().mean() > 0.9):
            hints.append(Hint(name))
            continue
        pairs = _assigned(correlation)
        if pairs:
            rows, columns = (torch.tensor(channels) for channels in zip(*pairs, strict=True))
            hints.append(Hint(name, rows, columns))
    return tuple(hints)


def _correlation(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """float32 [channels, channels]; 0 for a channel that never changes."""
    left, right = (activation.transpose(0, 1).flatten(1) for activation in (ours, theirs))
    step = max(1, left.shape[1] // _POSITIONS)
    parts = []
    for part in (left[:, ::step], right[:, ::step]):
        centred = part - part.mean(dim=1, keepdim=True)
        norm = centred.norm(dim=1, keepdim=True)
        moving = norm > 1e-5 * (1 + part.abs().amax(dim=1, keepdim=True))
        parts.append(torch.where(moving, centred / norm.clamp_min(1e-12), 0.0))
    return parts[0] @ parts[1].t()


def _assigned(correlation: torch.Tensor) -> list[tuple[int, int]]:
    """Pairs of channels, the most alike first, each channel once."""
    order = correlation.flatten().argsort(descending=True, stable=True).tolist()
    width = correlation.shape[1]
    rows: set[int] = set()
    columns: set[int] = set()
    pairs = []
    for index in order:
        row, column = divmod(index, width)
        if float(correlation[row, column]) < _ALIKE:
            break
        if row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            pairs.append((row, column))
    return sorted(pairs)
