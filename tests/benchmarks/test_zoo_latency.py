"""The latency benchmark's arithmetic and its page, without runtimes."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def module(name: str):
    return importlib.import_module(f"_zoo_latency.{name}")


def cell(network: str, column: str, ratio: float) -> dict[str, object]:
    measured = {"ratio": ratio, "ratios": [ratio], "ours_ms": 1.0, "peer_ms": 1.0 / ratio}
    return {"network": network, "column": column, "threads": 2, **measured}


def test_turns_with_others_in_the_way_do_not_count():
    blocks = [(1.0, 2.0), (5.0, 2.0), (1.1, 2.2), (1.0, 9.0), (1.2, 2.0)]
    assert module("turns").quiet_turns(blocks) == [(1.0, 2.0), (1.2, 2.0)]


def test_a_bar_is_kept_up_to_its_ratio():
    rows = {
        "resnet18-dynamo": {"ort-fp32": cell("resnet18-dynamo", "ort-fp32", 1.02)},
        "yolo-dynamo": {"ort-fp32": cell("yolo-dynamo", "ort-fp32", 1.03)},
    }
    line = module("page").summary(rows).splitlines()[-1]
    assert line == (
        "| `ort-fp32` | the export in ONNX Runtime | ≤ 1.02 | 2 | 1 | 1.02 | 1.03 | yolo-dynamo |"
    )


def test_the_page_has_misses_and_what_was_not_measured():
    refused = {"network": "yolo-dynamo", "column": "ov-int8", "threads": 2, "problem": "no"}
    cells = [cell("yolo-dynamo", "ort-fp32", 1.0), cell("yolo-dynamo", "tvm-fp32", 1.5), refused]
    page = module("page").page(cells)
    assert "| yolo-dynamo | detection | 1.00 · 1 |  |  | – | **1.50** · 1 |" in page
    assert "- yolo-dynamo × ov-int8: no" in page
    assert "Each has 2 threads." in page


def test_every_network_is_listed_once():
    networks = [name for family in module("bars").FAMILIES.values() for name in family]
    assert len(networks) == len(set(networks)) >= 25
