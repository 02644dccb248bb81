"""Each layer's own pattern: as many zeros as one for all, where they cost least."""

from __future__ import annotations

import numpy as np
import pytest
from applying import apply_pass
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_layers import correlated_samples, model

from lprc.core.errors import UsageError
from lprc.core.graph.weight_sparsity import Pattern, weights
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.options import from_texts
from lprc.core.running.numerics import run
from lprc.passes._sparsity.allocation import Choice, allocate
from lprc.passes.sparsify import Sparsify

TWO = (
    "(float[N,8,6,6] x) => (float[a,b,c,d] y) { [first] h = Conv(x, v) r = Relu(h) "
    "[second] y = Conv(r, w) }"
)


def uneven():
    """What `second` reads is mostly zero already; `first` needs all of its weights."""
    generator = np.random.default_rng(0)
    first = generator.standard_normal((16, 8, 1, 1)).astype(np.float32)
    second = generator.standard_normal((32, 16, 1, 1)).astype(np.float32)
    second[:, np.arange(16) % 8 != 0] *= 1e-3
    return model(TWO, v=first, w=second)


def choice(text, size, error):
    pattern = Pattern.parse(text)
    return Choice(pattern, size * pattern.kept // pattern.group, error)


def test_weights_go_where_they_gain_most():
    needy = [choice("1:8", 800, 0.9), choice("1:4", 800, 0.5), choice("2:4", 800, 0.1)]
    content = [choice("1:8", 1600, 0.02), choice("1:4", 1600, 0.01), choice("2:4", 1600, 0.0)]
    chosen = allocate([needy, content], 600)
    assert [str(each.pattern) for each in chosen] == ["2:4", "1:8"]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_no_more_weights_than_the_usual_pattern_leaves(data):
    layers = []
    for _ in range(data.draw(st.integers(1, 5))):
        size = 8 * data.draw(st.integers(1, 50))
        errors = [data.draw(st.floats(0, 1)) for _ in range(3)]
        texts = ("1:8", "1:4", "2:4")
        layers.append([choice(*each) for each in zip(texts, [size] * 3, errors, strict=True)])
    budget = sum(of_layer[1].kept for of_layer in layers)
    chosen = allocate(layers, budget)
    assert sum(each.kept for each in chosen) <= budget
    # Whatever is left would not pay for a step that gains anything.
    room = budget - sum(each.kept for each in chosen)
    for now, of_layer in zip(chosen, layers, strict=True):
        for other in of_layer:
            assert not (0 < other.kept - now.kept <= room and other.error < now.error)


@pytest.mark.parametrize("permute", [False, True])
def test_layers_have_patterns_of_their_own_and_lose_less(permute):
    source = uneven()
    samples = correlated_samples(source, 12)
    errors, counts = {}, {}
    for by_layer in ((), ("1:8", "2:4")):
        changed = uneven()
        apply_pass(
            changed,
            Sparsify(pattern="1:4", by_layer=by_layer, permute=permute),
            calibration=samples,
        )
        found = {each.node.name: each for each in weights(changed)}
        counts[by_layer] = sum(np.count_nonzero(each.array) for each in found.values())
        errors[by_layer] = sum(
            float(np.square(run(changed, x)["y"] - run(source, x)["y"]).sum()) for x in samples
        )
    assert found["first"].has_pattern(2, 4)
    assert not found["first"].has_pattern(1, 4)
    assert found["second"].has_pattern(1, 8)
    assert counts[("1:8", "2:4")] <= counts[()]
    assert errors[("1:8", "2:4")] < 0.5 * errors[()]


def test_the_same_bytes_each_time():
    source = uneven()
    samples = correlated_samples(source, 12)
    changed = [uneven(), uneven()]
    for each in changed:
        apply_pass(each, Sparsify(pattern="1:4", by_layer=("2:4", "1:8")), calibration=samples)
    assert to_bytes(changed[0]) == to_bytes(changed[1])


def test_a_pattern_that_does_not_fit_a_layer_is_not_taken_there():
    """Twelve input channels are no multiple of eight."""
    generator = np.random.default_rng(0)
    text = TWO.replace("N,8", "N,4")
    changed = model(
        text,
        v=generator.standard_normal((12, 4, 1, 1)).astype(np.float32),
        w=generator.standard_normal((4, 12, 1, 1)).astype(np.float32),
    )
    samples = correlated_samples(changed, 12)
    apply_pass(changed, Sparsify(pattern="2:4", by_layer=("1:8",)), calibration=samples)
    assert all(each.has_pattern(2, 4) for each in weights(changed))


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        ({"by-layer": ("4:4",)}, "a pattern keeps at least 1"),
        ({"by-layer": ("half",)}, "'half' is no pattern"),
        ({"pattern": ("unstructured",), "by-layer": ("1:4",)}, "by-layer needs a pattern"),
    ],
)
def test_options_that_are_wrong(texts, wrong):
    with pytest.raises(UsageError, match=wrong):
        from_texts(Sparsify, texts, "sparsify")
