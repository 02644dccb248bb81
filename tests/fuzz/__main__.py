"""`python -m tests.fuzz --minutes 30`: random trials of what docs/security.md promises.

Each part of the seeds runs in a child: vendors' code ends the process on some graphs. What is wrong
is printed and kept in a folder; exit code 1 says that a promise was broken. The same seeds are the
same trials: `--seed N --count 1` repeats one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .children import Campaign
from .graph_campaign import GraphCampaign
from .kill_campaign import KillCampaign
from .model_campaign import ModelCampaign
from .tampering_campaign import TamperingCampaign

CAMPAIGNS = {
    "graphs": "every exact pass on random graphs",
    "models": "mutated models through the command line",
    "kills": "runs that are ended at any moment",
    "tampering": "changed caches, artefacts, build states and settings",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--campaign", choices=CAMPAIGNS, action="append", help="default: all")
    parser.add_argument("--minutes", type=float, default=1.0, help="for all of them (default: 1)")
    parser.add_argument("--count", type=int, default=10**9, help="how many trials of each at most")
    parser.add_argument("--seed", type=int, help="the first seed (default: from the clock)")
    parser.add_argument("--passes", help="graphs: pipeline texts, separated by ';'")
    parser.add_argument("--models", type=Path, help="models: a folder of more models to mutate")
    parser.add_argument("--crashes", type=Path, default=Path("build/fuzz"), help="where they go")
    given = parser.parse_args()
    first = int(time.time()) * 1000 if given.seed is None else given.seed
    names = given.campaign or list(CAMPAIGNS)
    broken = 0
    for name in names:
        campaign = _campaign(name, given)
        started = time.monotonic()
        until = started + 60 * given.minutes / len(names)
        interrupted = False
        try:
            campaign.run(range(first, first + given.count), until)
        except KeyboardInterrupt:
            interrupted = True
        seconds = time.monotonic() - started
        print(f"{name}: seeds from {first}, {campaign.trials} trials in {seconds:.0f} s")
        print(campaign.table())
        print(f"{name}: broken promises: {campaign.broken}", flush=True)
        broken += campaign.broken
        if interrupted:
            return 130
    return 1 if broken else 0


def _campaign(name: str, given: argparse.Namespace) -> Campaign:
    if name == "graphs":
        return GraphCampaign(given.crashes, given.passes.split(";") if given.passes else None)
    if name == "kills":
        return KillCampaign(given.crashes / "kills")
    if name == "tampering":
        return TamperingCampaign(given.crashes / "tampering")
    return ModelCampaign(given.crashes, given.models)


if __name__ == "__main__":
    sys.exit(main())
