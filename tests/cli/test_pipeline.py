"""``lprc pipeline``."""

from __future__ import annotations

import json


def test_the_schema_is_printed(lprc):
    schema = json.loads(lprc("pipeline", "schema").stdout)
    assert schema["title"] == "lprc pipeline.toml"
    assert set(schema["properties"]) == {"models", "edges"}
