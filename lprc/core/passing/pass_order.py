"""Which passes may follow which: prune, then sparsify, then calibrate, then quantise.

Each pass says itself what it leaves behind and what it can't follow (`Pass.leaves`,
`Pass.not_after`); no pass is named here, so a third party's pass takes part like one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from lprc.core.passing.pass_base import Pass


class State(Enum):
    """What a pass leaves in a graph that a later one may destroy, or that tells what it is for."""

    SPARSE = "weights have zeros, and the others are fitted to make up for them"
    GROUPS = "N of each M neighbouring input channels' weights are zero"
    RANGES = "activations have ranges"
    GRID = "weights lie on the grid that they will be quantised to"
    CORRECTED = "biases make up for the rounding that quantisation will bring"
    QUANTIZED = "weights are integers"
    QDQ = "activations have Q/DQ"


_INTEGERS = frozenset({State.QUANTIZED, State.QDQ})
_PREPARED = frozenset({State.RANGES, State.GRID, State.CORRECTED})


def quantizes(states: Iterable[State]) -> bool:
    """Whether a pass that leaves `states` puts integers into the graph."""
    return not _INTEGERS.isdisjoint(states)


def serves_quantization(states: Iterable[State]) -> bool:
    """Whether a pass that leaves `states` quantises, or prepares what only a quantiser uses."""
    return not (_INTEGERS | _PREPARED).isdisjoint(states)


def reasons(reason_by_state: Mapping[State, str]) -> Mapping[State, str]:
    """What a pass can't come behind and why, as a class attribute that nobody can change."""
    return MappingProxyType(dict(reason_by_state))


def check_order(passes: Sequence[Pass]) -> None:
    """Check that no pass destroys what one in front of it left.

    Raises:
        UsageError: One does; both are named, and why.
    """
    left: dict[State, Pass] = {}
    for item in passes:
        for state, reason in item.refusals().items():
            if state in left:
                _refuse(item.name, left[state].name, reason)
        left.update(dict.fromkeys(item.states(), item))


def _refuse(name: str, earlier: str, reason: str) -> None:
    raise UsageError(
        f"{name} after {earlier}: {reason}",
        where="pipeline",
        hint=f"put {name} in front of {earlier}",
    )
