"""Channels that a network can do without, taken out of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.channels.costs import (
    byte_shares,
    mac_shares,
    multiply_accumulates,
    weight_bytes,
)
from lprc.core.channels.groups import ChannelClass, ChannelGroups, channel_groups
from lprc.core.channels.reference import record, remember
from lprc.core.channels.removal import remove
from lprc.core.contract import lossy
from lprc.core.node_names import check_names
from lprc.core.options import option
from lprc.core.pass_base import Pass, PassContext
from lprc.core.quantization.observe import no_samples
from lprc.passes._channel_choice import Chunk, Cost, by_cost, by_ratio, chunks
from lprc.passes._channel_importance import DATA_DRIVEN, Importance, scores

DEFAULT_RATIO = 0.3


@dataclass(frozen=True)
class PruneChannels(Pass):
    """Remove the least important channels, and everything that is coupled with them.

    Channels that are added to each other, or that a grouped Conv keeps apart, stay or go together;
    the graph says which (Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023). What
    is left equals the network with these channels zeroed. Inputs and outputs do not change.

    Give one of `ratio`, `target-macs` and `target-size`; fractions are of the graph as it comes.
    Enters no subgraphs.
    """

    name = "prune-channels"
    contract = lossy("accuracy")
    ratio: float | None = option(None, "fraction of the groups of channels to remove; 0.3 if unset")
    target_macs: float | None = option(None, "remove until this fraction of the MACs is left")
    target_size: float | None = option(None, "remove until this fraction of the weights is left")
    importance: Importance = option("l2", "what a channel is judged by")
    scope: Literal["global", "local"] = option(
        "global", "whether layers compete, or each loses the same share"
    )
    min_channels: int = option(1, "how many channels must stay together")
    round_to: Literal[1, 4, 8, 16, 32] = option(1, "keep a multiple of this many channels")
    exclude: tuple[str, ...] = option((), "names of operators whose output channels stay")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: More than one goal, a fraction outside 0 to 1, or a `min-channels` below 1.
        """
        goals = {
            "ratio": self.ratio, "target-macs": self.target_macs, "target-size": self.target_size,
        }  # fmt: skip
        given = {name: value for name, value in goals.items() if value is not None}
        if len(given) > 1:
            raise ValueError(f"give only one of {' and '.join(given)}")
        for name, value in given.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {value:g}")
        if self.min_channels < 1:
            raise ValueError(f"min-channels must be at least 1, not {self.min_channels}")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Remove channels; see the class.

        Raises:
            DataError: An importance that looks at activations, and no calibration data.
            UsageError: `exclude` names what is not there.
        """
        check_names(model.graph, self.exclude, f"{self.name}{{exclude}}")
        groups = channel_groups(model.graph, self.exclude)
        for node, reason in groups.blocked:
            context.skip(node, reason)
        if not groups.classes:
            return
        if self.importance in DATA_DRIVEN and not len(context.calibration):
            raise no_samples(self.name)
        score = scores(model, groups, self.importance, context.calibration)
        kept = self._choose(model, groups, score)
        kept = _announced(groups, kept, context)
        if kept.all():
            return
        keep = groups.atoms(kept)
        remember(model)
        record(model, groups.trace, keep)
        remove(groups.trace, keep)

    def _choose(
        self, model: ir.Model, groups: ChannelGroups, score: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        local = self.scope == "local"
        cost, target = self._goal(model, groups)
        if cost is not None and not local:
            score = score / np.maximum(self._shares(model, groups), 1e-30)
        pieces: list[list[Chunk]] = [
            chunks(each, score, least=self.min_channels, multiple=self.round_to)
            for each in groups.classes
        ]
        if cost is not None:
            return by_cost(groups, pieces, cost, target, local=local)
        return by_ratio(groups, pieces, target, local=local)

    def _goal(self, model: ir.Model, groups: ChannelGroups) -> tuple[Cost | None, float]:
        """What is to be brought down, and how far; None for the number of groups."""
        if self.target_macs is not None:
            macs = partial(multiply_accumulates, groups.trace)
            return lambda kept: macs(groups.atoms(kept)), self.target_macs
        if self.target_size is not None:
            size = partial(weight_bytes, model.graph, groups.trace)
            return lambda kept: size(groups.atoms(kept)), self.target_size
        return None, DEFAULT_RATIO if self.ratio is None else self.ratio

    def _shares(self, model: ir.Model, groups: ChannelGroups) -> NDArray[np.float64]:
        """What each group alone would save: importance is weighed against it."""
        if self.target_macs is not None:
            return mac_shares(groups.trace, groups.unit, groups.count)
        return byte_shares(model.graph, groups.trace, groups.unit, groups.count)


def _announced(
    groups: ChannelGroups, kept: NDArray[np.bool_], context: PassContext
) -> NDArray[np.bool_]:
    """What may go of `kept`, class by class."""
    result = np.ones_like(kept)
    for each in groups.classes:
        gone = int((~kept[each.units]).sum())
        if not gone:
            continue
        if not context.rewrite(each.sources[0].node, _note(each, gone)):
            break
        result[each.units] = kept[each.units]
    return result


def _note(each: ChannelClass, gone: int) -> str:
    text = f"{gone * each.width} of {len(each.units) * each.width} channels"
    others = [source.node.name or source.node.op_type for source in each.sources[1:]]
    if not others:
        return text
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"{text}, with {', '.join(others[:3])}{more}"
