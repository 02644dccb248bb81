"""``lprc bench`` as a user calls it."""

from __future__ import annotations

import json

import pytest


def test_the_ratio_says_what_it_is(lprc, small):
    done = lprc("bench", small, f"{small}@openvino", "--rounds", "60", "--threads", "1")
    heading, first, second, last = done.stdout.splitlines()
    assert heading.split() == ["artefact", "runtime", "median", "ms", "p95", "ms", "ratio", "size"]
    assert first.split()[4] == "1.000"
    assert " to " in second
    assert last == "ratio: median of paired ratios to the first, with its 95 % interval"
    rows = json.loads(lprc("bench", small, small, "--rounds", "60", "--json").stdout)
    low, high = rows[1]["ratio_interval"]
    assert low <= rows[1]["ratio_to_first"] <= high


def test_throughput(lprc, small):
    done = lprc("bench", small, "--streams", "2", "--requests", "20", "--threads", "1")
    assert done.stdout.splitlines()[0].split()[:4] == ["artefact", "runtime", "requests/s", "ratio"]
    assert "streams: 2" in done.stdout
    (row,) = json.loads(lprc("bench", small, "--duration", "0.2", "--json").stdout)
    assert {*row["latency_ms"]} == {"p50", "p90", "p95", "p99"}


def test_layers(lprc, small):
    done = lprc("bench", small, "--per-layer", "--rounds", "2")
    assert "ms in its layers" in done.stdout
    assert " Conv " in done.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--per-layer", "--streams", "2"], "layers are counted one run at a time"),
        (["--requests", "2", "--duration", "2"], "--requests says how many already"),
        (["--task", "synthetic"], "it says how --data become inputs"),
    ],
)
def test_wrong_usage(lprc, small, more, message):
    done = lprc("bench", small, *more, check=False)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
