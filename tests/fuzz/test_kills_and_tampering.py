"""Killed runs and changed files: a fixed share of what `make fuzz` goes through."""

from __future__ import annotations

import time

import pytest
from fuzz.kill_campaign import KillCampaign
from fuzz.tampering_campaign import TamperingCampaign


@pytest.mark.parametrize(
    ("kind", "seeds"), [(KillCampaign, range(100, 108)), (TamperingCampaign, range(100, 120))]
)
def test_nothing_is_torn_left_or_misled(kind, seeds, tmp_path):
    campaign = kind(tmp_path)
    assert campaign.run(seeds, time.monotonic() + 500) == seeds.stop
    assert not campaign.broken, campaign.said
    assert sum(campaign.count.values()) == 2 * len(seeds)  # what was done, and how it ended
