"""Two workers of this machine."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, resources={"BOX": 1}
    ) as started:
        yield started
