"""Channels that a network can do without, taken out of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import AccuracyError, UsageError
from lprc.core.graph.node_names import check_names
from lprc.core.options import option
from lprc.core.passing.contract import lossy
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.core.passing.reference import remember
from lprc.core.running.observe import no_samples
from lprc.core.running.random_inputs import random_inputs
from lprc.passes._pruning.channel_groups import ChannelClass, ChannelGroups, channel_groups
from lprc.passes._pruning.choice import Chunk, Cost, by_cost, by_ratio, chunks
from lprc.passes._pruning.importance import DATA_DRIVEN, Importance, scores
from lprc.passes._pruning.latency import RelativeLatency
from lprc.passes._pruning.record import record
from lprc.passes._pruning.removal import remove
from lprc.passes._pruning.removal_costs import (
    byte_shares,
    mac_shares,
    multiply_accumulates,
    weight_bytes,
)
from lprc.passes._pruning.time_shares import time_shares

DEFAULT_RATIO = 0.3


@dataclass(frozen=True)
class PruneChannels(Pass):
    """Remove the least important channels, and everything that is coupled with them.

    Channels that are added to each other, or that a grouped Conv keeps apart, stay or go together;
    the graph says which (Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023). What
    is left equals the network with these channels zeroed. Inputs and outputs do not change.

    Give one of `ratio`, `target-macs`, `target-size` and `target-latency`; fractions are of the
    graph as it comes. With `target-latency` the graph is measured again and again, so two runs may
    end with different channels; the other goals always give the same. Enters no subgraphs.
    """

    name = "prune-channels"
    contract = lossy("accuracy")
    reads_calibration = True
    not_after = reasons(
        {
            State.SPARSE: "removing input channels breaks N:M groups and what makes up for zeros",
            State.RANGES: "the ranges were measured with the channels that go",
            State.GRID: "weights are rounded for inputs that go",
            State.QUANTIZED: "its weights are quantised already",
            State.QDQ: "its activations are quantised already",
        }
    )
    ratio: float | None = option(None, "fraction of the groups of channels to remove; 0.3 if unset")
    target_macs: float | None = option(None, "remove until this fraction of the MACs is left")
    target_size: float | None = option(None, "remove until this fraction of the weights is left")
    target_latency: float | None = option(
        None, "remove until this fraction of the median latency is left, measured in `runtime`"
    )
    runtime: Literal["ort"] = option("ort", "where target-latency is measured, on one thread")
    importance: Importance = option("l2", "what a channel is judged by")
    weigh: Literal["goal", "time"] = option(
        "goal", "what importance is weighed against: what the goal counts, or a model of the time"
    )
    floor: float = option(0.0, "importance below this counts as this: nobody sees the difference")
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
        given = self._given()
        if len(given) > 1:
            raise ValueError(f"give only one of {' and '.join(given)}")
        for name, value in given.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {value:g}")
        weighed = self.weigh == "time" or self.floor > 0
        if weighed and (self.scope == "local" or not given.keys() - {"ratio"}):
            raise ValueError("weigh and floor need scope=global and a target")
        if self.floor < 0:
            raise ValueError(f"floor must not be negative, not {self.floor:g}")
        if self.min_channels < 1:
            raise ValueError(f"min-channels must be at least 1, not {self.min_channels}")

    def _given(self) -> dict[str, float]:
        goals = {
            "ratio": self.ratio, "target-macs": self.target_macs,
            "target-size": self.target_size, "target-latency": self.target_latency,
        }  # fmt: skip
        return {name: value for name, value in goals.items() if value is not None}

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Remove channels; see the class.

        Raises:
            AccuracyError: A target that can't be met with the channels that may go.
            DataError: An importance that looks at activations, and no calibration data.
            UsageError: `exclude` names what is not there, or `importance=bn` and no
                BatchNormalization is left.
        """
        check_names(model.graph, self.exclude, f"{self.name}{{exclude}}")
        groups = channel_groups(model.graph, self.exclude)
        for node, reason in groups.blocked:
            context.skip(node, reason)
        if not groups.classes:
            self._refuse_goal(1.0)
            return
        if self.importance in DATA_DRIVEN and not len(context.calibration):
            raise no_samples(self.name)
        score = scores(model, groups, self.importance, context.calibration)
        kept = self._choose(model, groups, _judged(groups, score, context), score, context)
        kept = _announced(groups, kept, context)
        if kept.all():
            return
        keep = groups.atoms(kept)
        remember(model)
        record(model, groups.trace, keep)
        remove(groups.trace, keep)

    def _choose(
        self,
        model: ir.Model,
        groups: ChannelGroups,
        classes: tuple[ChannelClass, ...],
        score: NDArray[np.float64],
        context: PassContext,
    ) -> NDArray[np.bool_]:
        local = self.scope == "local"
        goal = self._cost(model, groups, context)
        if goal is not None and not local:
            score = np.maximum(score, self.floor)
            score = score / np.maximum(self._shares(model, groups), 1e-30)
        pieces: list[list[Chunk]] = [
            chunks(
                channel_class,
                score,
                least=self.min_channels,
                multiple=self.round_to,
                whole=self.weigh == "time",
            )
            for channel_class in classes
        ]
        if goal is None:
            ratio = DEFAULT_RATIO if self.ratio is None else self.ratio
            return by_ratio(groups, classes, pieces, ratio, local=local)
        (target,) = self._given().values()
        kept = by_cost(groups, pieces, goal, target, local=local)
        self._refuse_goal(goal(kept) / max(goal(np.ones_like(kept)), 1e-30))
        return kept

    def _refuse_goal(self, reached: float) -> None:
        """Raise AccuracyError where a target is given, and `reached`, a fraction, is above it."""
        for name, target in self._given().items():
            if name != "ratio" and reached > target:
                raise AccuracyError(
                    f"{reached:.3f} is left when all that may go is gone",
                    where=f"{self.name}{{{name}={target:g}}}",
                    hint="ask for less, lower min-channels or round-to, or exclude fewer "
                    "operators; lprc opt -v says what blocks",
                )

    def _cost(self, model: ir.Model, groups: ChannelGroups, context: PassContext) -> Cost | None:
        """The cost to bring down; None for the number of groups."""
        if self.target_macs is not None:
            macs = partial(multiply_accumulates, groups.trace)
            return lambda kept: macs(groups.atoms(kept))
        if self.target_size is not None:
            size = partial(weight_bytes, model.graph, groups.trace)
            return lambda kept: size(groups.atoms(kept))
        if self.target_latency is not None:
            some = next(iter(context.calibration), None)
            inputs = random_inputs(model, batch=1) if some is None else some
            return RelativeLatency(model, self.exclude, inputs)
        return None

    def _shares(self, model: ir.Model, groups: ChannelGroups) -> NDArray[np.float64]:
        """The costs that each group alone would save: importance is weighed against it."""
        if self.weigh == "time":
            return time_shares(model.graph, groups.trace, groups.unit, groups.count)
        if self.target_size is not None:
            return byte_shares(model.graph, groups.trace, groups.unit, groups.count)
        return mac_shares(groups.trace, groups.unit, groups.count)


def _judged(
    groups: ChannelGroups, score: NDArray[np.float64], context: PassContext
) -> tuple[ChannelClass, ...]:
    """The classes whose importance is known.

    Raises:
        UsageError: There are none.
    """
    judged_classes = tuple(
        channel_class
        for channel_class in groups.classes
        if not np.isnan(score[channel_class.units]).any()
    )
    if not judged_classes:
        raise UsageError(
            "no BatchNormalization is left to judge channels by",
            where="prune-channels{importance=bn}",
            hint="put it in front of fold-bn, or use importance=l2",
        )
    for channel_class in groups.classes:
        if np.isnan(score[channel_class.units]).any():
            context.skip(
                channel_class.sources[0].node, "no BatchNormalization to judge its channels by"
            )
    return judged_classes


def _announced(
    groups: ChannelGroups, kept: NDArray[np.bool_], context: PassContext
) -> NDArray[np.bool_]:
    """`kept` after each class was announced: a class that may not change keeps all."""
    result = np.ones_like(kept)
    for channel_class in groups.classes:
        gone = int((~kept[channel_class.units]).sum())
        if not gone:
            continue
        if not context.rewrite(channel_class.sources[0].node, _note(channel_class, gone)):
            break
        result[channel_class.units] = kept[channel_class.units]
    return result


def _note(each: ChannelClass, gone: int) -> str:
    text = f"{gone * each.width} of {len(each.units) * each.width} channels"
    others = [source.node.name or source.node.op_type for source in each.sources[1:]]
    if not others:
        return text
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"{text}, with {', '.join(others[:3])}{more}"
