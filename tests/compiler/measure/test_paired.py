"""Ratios of what was measured in turn, with what chance makes of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lprc.compiler.measure.paired import PairedRatio, paired_ratio


def test_the_median_of_the_ratios_is_not_the_ratio_of_the_medians():
    ratio = paired_ratio([1, 4, 9], [2, 2, 3])
    assert ratio.value == 2.0
    assert (ratio.low, ratio.high, ratio.pairs) == (0.0, math.inf, 3)
    assert ratio.document() == {"ratio": 2.0, "interval": [None, None], "pairs": 3}
    assert not ratio.is_less
    assert not ratio.is_greater


def test_one_disturbed_pair_changes_little():
    ours, theirs = np.full(20, 0.5), np.ones(20)
    ours[3] = 50.0
    assert paired_ratio(ours, theirs).high == 0.5


@pytest.mark.parametrize("count", [6, 9, 20, 51])
def test_the_interval_covers_the_true_median_as_often_as_it_says(count):
    generator = np.random.default_rng(count)
    covered = 0
    for _ in range(400):
        noisy = np.exp(0.3 * generator.standard_cauchy(count).clip(-20, 20)) * 0.7
        ratio = paired_ratio(noisy, np.ones(count))
        covered += ratio.low <= 0.7 <= ratio.high
    assert covered / 400 > 0.93


def test_what_is_no_pair_is_refused():
    with pytest.raises(ValueError, match="2 and 1 durations are no pairs"):
        paired_ratio([1, 2], [1])


@pytest.mark.parametrize(
    "ratio", [PairedRatio(0.5, 0.4, 0.6, 20), PairedRatio(0.5, 0.0, math.inf, 2)]
)
def test_a_ratio_is_what_its_document_says(ratio):
    assert PairedRatio.from_document(json.loads(json.dumps(ratio.document()))) == ratio
