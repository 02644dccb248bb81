"""Passes that move channels can leave a model alone whose groups of channels mean something."""

from __future__ import annotations

import numpy as np
import pytest
from applying import apply_pass
from linear_layers import model

from lprc.core.graph.weight_sparsity import weights
from lprc.passes.eliminate_constant_channels import EliminateConstantChannels
from lprc.passes.reorder_channels import ReorderChannels


def network(*, sparse, sliced):
    """A dead channel in front of a 2:4 sparse Conv, and a strided Slice if asked for."""
    generator = np.random.default_rng(0)
    first = generator.standard_normal((16 if sliced else 8, 4, 1, 1)).astype(np.float32)
    second = generator.standard_normal((6, 8, 1, 1)).astype(np.float32)
    if sparse:
        first[:, ::2] = 0
        second[:, [1, 2, 5, 6]] = 0
    first[2] = 0
    bounds = {"start": [0], "end": [16], "axis": [1], "step": [2]} if sliced else {}
    slices = "s = Slice(r, start, end, axis, step)" if sliced else "s = Identity(r)"
    return model(
        "(float[N,4,5,5] x) => (float[a,b,c,d] y) "
        f"{{ a = Conv(x, v) r = Relu(a) {slices} y = Conv(s, w) }}",
        v=first, w=second, **{name: np.array(value) for name, value in bounds.items()},
    )  # fmt: skip


@pytest.mark.parametrize("item", [ReorderChannels, EliminateConstantChannels])
def test_groups_of_channels_stay_together(item):
    sliced = item is ReorderChannels
    assert apply_pass(network(sparse=True, sliced=sliced), item()).rewrites
    kept = network(sparse=True, sliced=sliced)
    context = apply_pass(kept, item(keep_sparse=True))
    reasons = [skip.reason for skip in context.skips]
    assert reasons == ["the weights are sparse in groups of input channels"]
    assert not context.rewrites
    assert all(weight.has_pattern(2, 4) for weight in weights(kept))


@pytest.mark.parametrize("item", [ReorderChannels, EliminateConstantChannels])
def test_a_dense_model_is_changed(item):
    dense = network(sparse=False, sliced=item is ReorderChannels)
    assert apply_pass(dense, item(keep_sparse=True)).rewrites
