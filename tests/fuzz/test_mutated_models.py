"""Mutated models through the command line: a fixed share of what `make fuzz` goes through."""

from __future__ import annotations

import time

from fuzz.model_campaign import ModelCampaign

SEEDS = range(1000, 1250)


def test_no_model_ends_hangs_or_misleads_the_compiler(tmp_path):
    campaign = ModelCampaign(tmp_path)
    assert campaign.run(SEEDS, time.monotonic() + 300) == SEEDS.stop
    assert not campaign.broken, (
        f"python -m tests.fuzz --campaign models --seed N --count 1\n{campaign.said}"
    )
    # Some are refused, and some run to the end and are compared.
    assert campaign.count["exit 3"] > 50
    assert campaign.count["outputs same"] > 10
