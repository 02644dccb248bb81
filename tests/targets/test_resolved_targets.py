"""What targets say once their shared parts are resolved, against what is written down.

Pipelines stand in manifests and cache keys, so they change on purpose only: then change
resolved_targets.json too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lprc.core.targets.target import Target, target, target_names

RESOLVED = json.loads(Path(__file__).with_name("resolved_targets.json").read_text("utf-8"))


def document(found: Target) -> dict[str, Any]:
    """All of `found` but its name, as the file has it."""
    plain = {key: value for key, value in vars(found).items() if key not in ("name", "rules")}
    rules = [
        {
            "rule": rule.rule,
            **dict(rule.parameters),
            "message": rule.message,
            "remedy": rule.remedy,
        }
        for rule in found.rules
    ]
    # Through JSON, which has no tuples.
    said: dict[str, Any] = json.loads(json.dumps({**plain, "rules": rules}))
    return said


def test_all_targets_are_written_down():
    assert sorted(RESOLVED) == target_names()


@pytest.mark.parametrize("name", sorted(RESOLVED))
def test_a_target_is_what_is_written_down(name):
    found = document(target(name))
    assert found == RESOLVED[name]
    for rule, written in zip(found["rules"], RESOLVED[name]["rules"], strict=True):
        assert list(rule) == list(written)  # `lprc targets` shows the keys in this order
