"""One mutated model of a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import field_mutations, graph_mutations, value_mutations
from .bases import Bases
from .stumbling_blocks import choice

KINDS = (graph_mutations.MUTATIONS, value_mutations.MUTATIONS, (field_mutations.any_field,))
SHARES = (0.37, 0.48, 0.15)
DAMAGED = 0.05
"""The part of the models whose bytes are changed, too."""


@dataclass(frozen=True)
class Mutant:
    """A file, and how it was made.

    Attributes:
        data: Its bytes.
        story: The base model and the mutations, in words.
    """

    data: bytes
    story: str


def mutant(rng: np.random.Generator, bases: Bases) -> Mutant:
    """The next mutated model of `rng`."""
    name, model = bases.draw(rng)
    story = [name]
    for _ in range(min(6, int(rng.geometric(0.6)))):
        kind = KINDS[int(rng.choice(len(KINDS), p=SHARES))]
        mutation = choice(rng, kind)
        try:
            mutation(rng, model)
        except Exception:
            continue  # it does not fit this model
        story.append(mutation.__name__)
    data = model.SerializeToString()
    if rng.random() < DAMAGED:
        data = field_mutations.damaged(rng, data)
        story.append("bytes")
    return Mutant(data, ", ".join(story))
