from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lprc.core.graph.annotations import Range
from lprc.core.quantization.affine import SCHEMES, activation_params, fake_quantize
from lprc.passes._calibration import histogram
from lprc.passes._calibration.estimators import METHODS, estimate
from lprc.passes._calibration.histogram import BINS, SMALLEST, ActivationStatistics


def statistics(*samples: np.ndarray) -> ActivationStatistics:
    found = ActivationStatistics()
    for sample in samples:
        found.update(np.asarray(sample, np.float32))
    return found


def normal(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def bins(found: ActivationStatistics) -> list[tuple[float, float]]:
    width = 2 * found.reach / BINS
    return [(i * width - found.reach, int(n)) for i, n in enumerate(found.counts) if n]


def test_the_histogram_counts_every_value_in_its_bin():
    array = normal(10_000)
    found = statistics(array)
    edges = np.linspace(-found.reach, found.reach, BINS + 1)
    np.testing.assert_array_equal(found.counts, np.histogram(array.astype(np.float64), edges)[0])


def test_the_histogram_grows():
    found = statistics([0.0, 0.0], [0.25, -0.1], [1.0], [-100.0, 3.0])
    assert found.reach == 128
    assert found.counts.sum() == 7
    assert (found.low, found.high, found.samples) == (-100.0, 3.0, 4)
    assert bins(found) == [(-100.0, 1), (-0.125, 1), (0.0, 2), (0.25, 1), (1.0, 1), (3.0, 1)]


def test_a_large_tensor_that_grows_halfway_is_counted_like_its_parts():
    generator = np.random.default_rng(0)
    large = generator.standard_normal(300_000).astype(np.float32) * np.linspace(0.1, 9, 300_000)
    large = large.astype(np.float32)
    whole, parts = ActivationStatistics(), ActivationStatistics()
    whole.update(large.reshape(3, 100, 1000))
    for part in np.array_split(large[::-1], 7):
        parts.update(part)
    assert whole.counts.sum() == large.size
    assert whole.reach == parts.reach
    assert np.array_equal(whole.counts, parts.counts)
    assert (whole.low, whole.high) == (large.min(), large.max())


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_told(odd):
    array = np.zeros(100_000, np.float32)
    assert ActivationStatistics().update(array)
    array[70_000] = odd
    assert not ActivationStatistics().update(array)


def test_means_of_extremes():
    found = statistics([-1.0, 1.0], [-3.0, 5.0], [-2.0, 0.0])
    assert (found.mean_low, found.mean_high) == (pytest.approx(-2.0), pytest.approx(2.0))


arrays = st.lists(
    st.lists(
        st.one_of(st.just(0.0), st.floats(2**-20, 1e6, width=32), st.floats(-1e6, -1, width=32)),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(arrays, st.randoms())
def test_neither_order_nor_batching_makes_a_difference(samples, random):
    shuffled = [*samples]
    random.shuffle(shuffled)
    together = [[value for sample in samples for value in sample]]
    one_by_one = [[value] for sample in samples for value in sample]
    first = statistics(*samples)
    for other in (shuffled, together, one_by_one):
        found = statistics(*other)
        np.testing.assert_array_equal(found.counts, first.counts)
        assert (found.low, found.high, found.reach) == (first.low, first.high, first.reach)
        assert estimate(found, "percentile", "symmetric") == estimate(
            first, "percentile", "symmetric"
        )


class Lazy(Sequence):
    """Samples that are made when they are looked at."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        return normal(500, seed=index)


def peak(count: int) -> int:
    found = ActivationStatistics()
    tracemalloc.start()
    for sample in Lazy(count):
        if found.samples == count:
            break
        found.update(sample)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.samples == count
    return most


def test_ten_thousand_samples_need_no_more_memory_than_a_hundred():
    assert peak(10_000) <= 1.2 * peak(100)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scheme", SCHEMES)
class TestEveryMethod:
    def test_zeros(self, method, scheme):
        assert estimate(statistics(np.zeros(10)), method, scheme) == Range(0, 0)

    def test_nothing(self, method, scheme):
        found = estimate(statistics(np.zeros(0)), method, scheme)
        assert (found.low, found.high) == (0, 0)

    @pytest.mark.parametrize("level", [3.0, -3.0, 1e-20, 1e30])
    def test_a_constant_is_represented(self, method, scheme, level):
        found = estimate(statistics(np.full(1000, level)), method, scheme)
        assert found.low <= 0 <= found.high
        params = activation_params(found, scheme)
        assert fake_quantize(np.array([level]), params)[0] == pytest.approx(level, rel=0.05)

    def test_denormal_values_count_as_zero(self, method, scheme):
        found = statistics([1e-40, -1e-39, 1e-35])
        assert found.reach == 0
        assert estimate(found, method, scheme).magnitude < SMALLEST

    def test_negative_values_only(self, method, scheme):
        found = estimate(statistics(-np.abs(normal(5000))), method, scheme)
        assert found.low < -1
        assert found.high == 0

    def test_within_what_was_seen_and_around_zero(self, method, scheme):
        array = normal(5000) ** 3
        found = estimate(statistics(array), method, scheme)
        assert array.min() <= found.low <= 0 <= found.high <= array.max()


def test_min_max_and_moving_average():
    samples = [[-1.0, 4.0], [-3.0, 2.0]]
    assert estimate(statistics(*samples), "min-max", "symmetric") == Range(-3, 4)
    assert estimate(statistics(*samples), "moving-average", "symmetric") == Range(-2, 3)


@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 99.99, 100.0])
def test_percentile_against_all_values(percentile):
    array = normal(100_000)
    found = statistics(array)
    width = 2 * found.reach / BINS
    limit = np.percentile(np.abs(array), percentile)
    symmetric = estimate(found, "percentile", "symmetric", percentile=percentile)
    assert symmetric.magnitude == pytest.approx(limit, abs=1.01 * width)
    asymmetric = estimate(found, "percentile", "asymmetric", percentile=percentile)
    tail = (100 - percentile) / 2
    assert asymmetric.low == pytest.approx(np.percentile(array, tail), abs=1.01 * width)
    assert asymmetric.high == pytest.approx(np.percentile(array, 100 - tail), abs=1.01 * width)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("relu", [True, False], ids=["behind ReLU", "signed"])
def test_mse_against_all_values(scheme, relu):
    array = normal(20_000) ** 3
    array = np.maximum(array, 0) if relu else array

    def error(found: Range) -> float:
        left = fake_quantize(array, activation_params(found, scheme)) - array.astype(np.float64)
        return float(np.square(left).sum())

    chosen = estimate(statistics(array), "mse", scheme)
    low, high = float(array.min()), float(array.max())
    parts = np.linspace(0.02, 1, 50)
    best = min(error(Range(low * part, high * part)) for part in parts)
    assert error(chosen) <= best * 1.02
    assert error(chosen) < error(Range(low, high))


def divergence(array: np.ndarray, limit: float, levels: int) -> float:
    """The method of the paper on fine bins of the values themselves."""
    edges = np.linspace(0, np.abs(array).max(), 2049)
    counts = np.histogram(np.abs(array), edges)[0].astype(float)
    counts[0] = counts[1]
    stop = int(np.searchsorted(edges, limit, side="left"))
    reference = counts[:stop].copy()
    reference[-1] += counts[stop:].sum()
    quantised = np.zeros(stop)
    for chunk in np.array_split(np.arange(stop), levels):
        used = chunk[counts[chunk] > 0]
        if len(used):
            quantised[used] = counts[chunk].sum() / len(used)
    p, q = reference / reference.sum(), quantised / quantised.sum()
    both = (p > 0) & (q > 0)
    return float((p[both] * np.log(p[both] / q[both])).sum() + p[(p > 0) & (q == 0)].sum())


def test_entropy_against_all_values():
    # A heavy tail: the whole range is a bad choice, and so is a sliver of it.
    array = np.random.default_rng(0).standard_t(3, 200_000).astype(np.float32)
    chosen = estimate(statistics(array), "entropy", "symmetric")
    largest = float(np.abs(array).max())
    assert chosen.magnitude < 0.5 * largest
    limits = np.linspace(128 / 2048, 1, 60) * largest
    best = min(divergence(array, limit, 128) for limit in limits)
    assert divergence(array, chosen.magnitude, 128) <= 3 * best + 1e-3
    assert divergence(array, chosen.magnitude, 128) < divergence(array, largest, 128)


def test_entropy_of_few_bins_takes_everything():
    # All but one value lie in a hundred bins.
    array = np.concatenate([np.linspace(0, 0.05, 100), [0.05]])
    assert estimate(statistics(array), "entropy", "symmetric").high == pytest.approx(0.05)


def test_many_values_are_counted_at_even_distances(monkeypatch):
    generator = np.random.default_rng(3)
    arrays = [generator.standard_normal((2, 5, 30, 28)).astype(np.float32) for _ in range(4)]
    everything = ActivationStatistics(len(arrays))
    monkeypatch.setattr(histogram, "COUNTED", 4000)
    few = ActivationStatistics(len(arrays))
    for array in arrays:
        assert few.update(array)
        assert everything.update(array)
    assert (few.low, few.high) == (everything.low, everything.high)
    assert np.gcd.reduce(few.counts) > 1
    assert few.counts.sum() == pytest.approx(everything.counts.sum(), rel=0.01)
    for method in METHODS:
        found = estimate(few, method, "symmetric", percentile=99.0)
        assert found.high == pytest.approx(
            estimate(everything, method, "symmetric", percentile=99.0).high, rel=0.1
        )


@pytest.mark.parametrize("shape", [(1, 96, 112, 112), (1, 1000), (1, 7, 30, 28), (4, 6, 2 * 49)])
def test_no_row_or_column_is_never_counted(shape):
    step = histogram.stride(shape, 500)
    assert step == 1 or 250 <= math.prod(shape) // step <= 1000
    places = np.arange(0, math.prod(shape), step)
    for axis in (-1, -2):
        assert len(np.unique(np.unravel_index(places, shape)[axis])) == shape[axis]
