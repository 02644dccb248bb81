"""What a network of the zoo is, before it is exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from _zoo.inputs import Input

EXPORTS = ("dynamo", "dynamo-dynamic", "script", "script-dynamic")
"""torch's two exporters, with all sizes fixed and with symbolic ones."""


@dataclass(frozen=True)
class Network:
    """One network and its exports.

    Attributes:
        name: Of the file, before the export's name.
        module: Makes the torch module, weights drawn from torch's global generator.
        shapes: Sizes of each float32 input by name; the first size is the batch, 1.
        exports: Some of `EXPORTS`.
        dynamic: Symbolic axes of each input by name; None for the first axis of each.
        classes: Inputs that are int64 instead, and how many values each takes.
        finish: What is done to the module when its statistics are there, before it is exported.
    """

    name: str
    module: Callable[[], Any]
    shapes: Mapping[str, tuple[int, ...]]
    exports: tuple[str, ...] = ("dynamo",)
    dynamic: Mapping[str, Mapping[int, str]] | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    finish: Callable[[Any], Any] | None = None

    def symbolic_axes(self) -> dict[str, dict[int, str]]:
        """Names of the symbolic axes of each input."""
        if self.dynamic is None:
            return {name: {0: "batch"} for name in self.shapes}
        return {name: dict(self.dynamic.get(name, {})) for name in self.shapes}

    def inputs(self, batch: int = 1) -> dict[str, Input]:
        """What each input takes; `batch` samples at once where its batch is symbolic."""
        axes = self.symbolic_axes()
        return {
            name: Input(
                (batch, *shape[1:]) if 0 in axes[name] else shape, below=self.classes.get(name, 0)
            )
            for name, shape in self.shapes.items()
        }


def image(side: int, channels: int = 3) -> dict[str, tuple[int, ...]]:
    """Sizes of one square image called ``image``."""
    return {"image": (1, channels, side, side)}


def alternating(index: int) -> tuple[str, ...]:
    """One export for the network with this place in a family, so that a family has them all."""
    return (EXPORTS[index % len(EXPORTS)],)
