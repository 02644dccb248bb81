"""How fast a graph is without some of its channels, beside itself with all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Collection

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.onnx_io import model_io
from lprc.core.running.numerics import Arrays, Session
from lprc.passes._pruning.channel_groups import channel_groups
from lprc.passes._pruning.removal import remove

BLOCKS = 15
"""Turns that each of the two graphs has."""

BLOCK = 5
"""Measured runs in a turn."""

SETTLE = 2
"""Runs before these that are not measured."""


class RelativeLatency:
    """The median latency of a choice of groups over that of the whole graph, in ONNX Runtime.

    Both run in turn on one thread, so that what else the machine does hits both. Each choice is
    measured once. Calling it again in another process gives another number.

    Args:
        model: The graph; it is copied, not changed.
        exclude: As for `channel_groups`.
        inputs: To run it on.

    Raises:
        RunError: ONNX Runtime can't run the graph.
    """

    def __init__(self, model: ir.Model, exclude: Collection[str], inputs: Arrays) -> None:
        self._proto = model_io.to_proto(model)
        self._exclude = exclude
        self._inputs = inputs
        self._whole = Session(model, optimize=True)
        self._known: dict[bytes, float] = {}

    def __call__(self, kept: NDArray[np.bool_]) -> float:
        """The ratio with the groups in `kept` alone: bool [groups]."""
        if kept.all():
            return 1.0
        key = kept.tobytes()
        if key not in self._known:
            self._known[key] = self._ratio(self._without(kept))
        return self._known[key]

    def _without(self, kept: NDArray[np.bool_]) -> Session:
        model = model_io.from_proto(self._proto)
        groups = channel_groups(model.graph, self._exclude)
        remove(groups.trace, groups.atoms(kept))
        return Session(model, optimize=True)

    def _ratio(self, pruned: Session) -> float:
        """The median over the turns of one's median over the other's."""
        return statistics.median(
            self._median(pruned) / max(self._median(self._whole), 1e-9) for _ in range(BLOCKS)
        )

    def _median(self, session: Session) -> float:
        for _ in range(SETTLE):
            session.run(self._inputs)
        taken = []
        for _ in range(BLOCK):
            started = time.perf_counter()
            session.run(self._inputs)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)
