"""Channels weighed against the time that they take, where multiply-accumulates leave some out."""

from __future__ import annotations

import numpy as np
import pytest
from applying import apply_pass
from linear_layers import model

from lprc.core.errors import UsageError
from lprc.core.options import from_texts
from lprc.passes._pruning.channel_groups import ChannelClass, channel_groups
from lprc.passes._pruning.choice import chunks
from lprc.passes._pruning.removal_costs import mac_shares
from lprc.passes._pruning.time_shares import time_shares
from lprc.passes.prune_channels import PruneChannels

TEXT = (
    "(float[1,3,16,16] x) => (float[a,b,c,d] y) "
    "{ [first] f = Conv<pads=[1,1,1,1]>(x, u) r = Relu(f) "
    "p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(r) "
    "[second] g = Conv(p, v) s = Relu(g) [third] h = Conv(s, w) t = Relu(h) "
    "[last] y = Conv(t, z) }"
)


def network(first=32, second=48, third=48):
    generator = np.random.default_rng(0)

    def kernel(*shape):
        return generator.standard_normal(shape).astype(np.float32)

    return model(
        TEXT,
        u=kernel(first, 3, 3, 3),
        v=kernel(second, first, 1, 1),
        w=kernel(third, second, 1, 1),
        z=kernel(4, third, 1, 1),
    )


def widths(changed):
    kernels = {node.name: node.inputs[1] for node in changed.graph if node.op_type == "Conv"}
    return {name: value.shape[0] for name, value in kernels.items()}


def of_class(shares, groups, name):
    (channel_class,) = [
        one for one in groups.classes if any(source.node.name == name for source in one.sources)
    ]
    return shares[channel_class.units].mean()


def test_a_first_conv_and_a_pool_take_more_time_than_their_products():
    dense = network()
    groups = channel_groups(dense.graph)
    macs = mac_shares(groups.trace, groups.unit, groups.count)
    seconds = time_shares(dense.graph, groups.trace, groups.unit, groups.count)
    per_mac = {
        name: of_class(seconds, groups, name) / of_class(macs, groups, name)
        for name in ("first", "second", "third")
    }
    # 48 and 48 channels in full blocks and with nothing but Relus behind them: alike.
    assert per_mac["second"] == pytest.approx(per_mac["third"], rel=0.1)
    assert per_mac["first"] > 2 * per_mac["second"]


def test_what_nobody_sees_goes_where_it_takes_time():
    by_macs, by_time = network(), network()
    goal = {"target_macs": 0.8, "round_to": 16, "floor": 1e6}
    apply_pass(by_macs, PruneChannels(**goal))
    apply_pass(by_time, PruneChannels(**goal, weigh="time"))
    assert widths(by_time)["first"] == 16
    assert widths(by_macs)["first"] == 32


def test_channels_of_a_started_block_save_a_whole_one():
    channel_class = ChannelClass(units=np.arange(34), width=1, sources=())
    score = np.ones(34)
    usual = chunks(channel_class, score, least=1, multiple=16)
    whole = chunks(channel_class, score, least=1, multiple=16, whole=True)
    assert [len(chunk.units) for chunk in usual] == [2, 16]
    assert [chunk.score for chunk in usual] == [1, 1]
    assert [chunk.score for chunk in whole] == [2 / 16, 1]


def test_the_same_choice_without_either_option():
    plain, zero = network(), network()
    apply_pass(plain, PruneChannels(target_macs=0.6))
    apply_pass(zero, PruneChannels(target_macs=0.6, weigh="goal", floor=0.0))
    assert widths(plain) == widths(zero)


@pytest.mark.parametrize(
    "texts",
    [
        {"weigh": ("time",)},
        {"weigh": ("time",), "ratio": ("0.3",)},
        {"weigh": ("time",), "target-macs": ("0.5",), "scope": ("local",)},
        {"floor": ("0.1",)},
    ],
)
def test_where_importance_is_weighed_against_nothing(texts):
    with pytest.raises(UsageError, match="weigh and floor need scope=global and a target"):
        from_texts(PruneChannels, texts, "prune-channels")


def test_a_negative_floor():
    with pytest.raises(UsageError, match="floor must not be negative"):
        from_texts(PruneChannels, {"floor": ("-1",)}, "prune-channels")
